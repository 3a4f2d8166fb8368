package contents_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
)

func codec(tb testing.TB) *contents.Codec {
	tb.Helper()
	c, err := contents.NewCodec()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func blob(data []byte) eventstore.Blob {
	sum := sha256.Sum256(data)
	return eventstore.Blob{SHA256: hex.EncodeToString(sum[:]), Bytes: data}
}

// TestPropertyBytesComeBack: I12, for sizes around every width of a frame's header.
func TestPropertyBytesComeBack(t *testing.T) {
	t.Parallel()
	c := codec(t)
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "unit")
		times := rapid.SampledFrom([]int{0, 1, 30, 100, 10_000}).Draw(t, "times")
		data := append(bytes.Repeat(unit, times), rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "rest")...)
		s, err := c.Encode(blob(data))
		if err != nil || s.Bytes == nil || len(s.Bytes) > len(data) {
			t.Fatalf("%d bytes became %d, %v", len(data), len(s.Bytes), err)
		}
		got, err := c.Decode(s)
		if err != nil || got == nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes came back as %d, %v", len(data), len(got), err)
		}
	})
}

func TestAFrameThatDoesNotSayItsSizeIsRead(t *testing.T) {
	t.Parallel()
	c, data := codec(t), bytes.Repeat([]byte("a"), 200)
	encoder, err := zstd.NewWriter(nil) // as some other writer may have made it
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Encode(blob(data))
	if err != nil {
		t.Fatal(err)
	}
	s.Bytes = encoder.EncodeAll(data, nil)
	if got, err := c.Decode(s); err != nil || !bytes.Equal(got, data) {
		t.Errorf("came back as %d bytes, %v", len(got), err)
	}
}

func TestAForgedRowIsRefusedAndCostsNoMemory(t *testing.T) {
	t.Parallel()
	c := codec(t)
	bomb, err := c.Encode(blob(make([]byte, 64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	small, err := c.Encode(blob(bytes.Repeat([]byte("a"), 1000)))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]contents.Stored{
		"a bomb that claims little":   {Hash: small.Hash, Size: 1000, Encoding: contents.EncodingZstd, Bytes: bomb.Bytes},
		"a negative size":             {Hash: small.Hash, Size: -1, Encoding: contents.EncodingZstd, Bytes: small.Bytes},
		"a size above the limit":      {Hash: small.Hash, Size: contents.MaxBytes + 1, Encoding: contents.EncodingZstd, Bytes: small.Bytes},
		"bytes of another content":    {Hash: bomb.Hash, Size: small.Size, Encoding: contents.EncodingZstd, Bytes: small.Bytes},
		"another size, as they are":   {Hash: small.Hash, Size: 1000, Encoding: contents.EncodingNone, Bytes: []byte("a")},
		"an encoding of no reader":    {Hash: small.Hash, Size: small.Size, Encoding: 7, Bytes: small.Bytes},
		"bytes that are no zstd":      {Hash: small.Hash, Size: small.Size, Encoding: contents.EncodingZstd, Bytes: []byte("no")},
		"compressed bytes cut short":  {Hash: small.Hash, Size: small.Size, Encoding: contents.EncodingZstd, Bytes: small.Bytes[:len(small.Bytes)-2]},
		"a missing row as a nil zstd": {Hash: small.Hash, Size: small.Size, Encoding: contents.EncodingZstd},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if data, err := c.Decode(s); err == nil {
				t.Errorf("decoded to %d bytes", len(data))
			}
		})
	}
}

func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	t.Parallel()
	c := codec(t)
	if _, err := c.Encode(eventstore.Blob{SHA256: "no hash"}); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if _, err := c.Encode(eventstore.Blob{Bytes: make([]byte, contents.MaxBytes+1)}); !errors.Is(err, eventstore.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// Closing waits for who decodes; who comes later is told that it is closed, and not that a content is corrupt.
func TestACodecIsClosedBesideItsUse(t *testing.T) {
	t.Parallel()
	for range 20 {
		codec, err := contents.NewCodec()
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte("text "), 20_000)
		sum := sha256.Sum256(data)
		stored, err := codec.Encode(eventstore.Blob{SHA256: hex.EncodeToString(sum[:]), Bytes: data})
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		started := make(chan struct{}, 4)
		for range 4 {
			wait.Go(func() {
				for n := 0; ; n++ {
					_, err := codec.Decode(stored)
					if n == 0 {
						started <- struct{}{}
					}
					if err != nil {
						if !errors.Is(err, eventstore.ErrClosed) {
							t.Errorf("got %v, want ErrClosed", err)
						}
						return
					}
				}
			})
		}
		<-started
		if err := codec.Close(); err != nil {
			t.Error(err)
		}
		wait.Wait()
	}
}
