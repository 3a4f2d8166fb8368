package kurrent

// Flights returns how many calls are inside a client, those that were abandoned there included.
func (l *Log) Flights() int {
	l.clients.mu.Lock()
	defer l.clients.mu.Unlock()
	return l.clients.flights
}
