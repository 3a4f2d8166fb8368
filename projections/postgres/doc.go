// Package postgres keeps the tables of projections in a schema of a PostgreSQL database, for any number of processes.
package postgres
