module github.com/gxpledger/gxpledger/mutate

go 1.26.0
