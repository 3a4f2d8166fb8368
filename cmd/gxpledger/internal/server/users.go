package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/peer"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/internal/fair"
)

// Users are those who may use a server. It is safe for concurrent use.
//
// Clients send their password with each call, and bcrypt is slow on purpose: an accepted password is remembered as a MAC
// under a key of this process, and compared with that from then on. One hash is computed at a time, so that guessing costs
// a core at most. Hosts take turns, and user names within those of their host, so that it does not keep others from their first login.
type Users struct {
	hashes  map[string][]byte
	nobody  []byte // the hash that an unknown user's password is compared with, so that the time does not tell
	key     []byte
	hashing *fair.Budget // of one hash
	compare func(hash, password []byte) error

	mu       sync.Mutex
	accepted map[string][]byte // guarded by mu: by user, the MAC of the accepted password
}

// maxWaiting bounds how many password checks of one user from one host wait: more than a service has subscriptions that log in at once.
const maxWaiting = 1024

// ParseUsers reads lines of USER:HASH. Empty lines and those that begin with # are skipped.
func ParseUsers(data []byte) (*Users, error) {
	const keySize = 32
	u := &Users{
		hashes: map[string][]byte{}, accepted: map[string][]byte{}, key: make([]byte, keySize), compare: bcrypt.CompareHashAndPassword,
		hashing: fair.NewBudget(1, 1, maxWaiting),
	}
	if _, err := rand.Read(u.key); err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		if _, err := bcrypt.Cost([]byte(hash)); !ok || name == "" || err != nil {
			return nil, fmt.Errorf("line %d: want USER:HASH with a bcrypt hash, as htpasswd -B writes it", n)
		}
		if _, twice := u.hashes[name]; twice {
			return nil, fmt.Errorf("line %d: this user has a line already", n)
		}
		u.hashes[name] = []byte(hash)
		u.nobody = []byte(hash)
	}
	if len(u.hashes) == 0 {
		return nil, errors.New("it has no user: want a line USER:HASH for each")
	}
	return u, nil
}

// Authenticate checks a password. It waits for other checks, but no longer than ctx.
func (u *Users) Authenticate(ctx context.Context, name, password string) error {
	mac := hmac.New(sha256.New, u.key)
	mac.Write([]byte(password))
	sum := mac.Sum(nil)
	if u.isAccepted(name, sum) {
		return nil
	}
	asking := partyOf(ctx, name)
	if err := u.hashing.Take(ctx, asking, 1); errors.Is(err, fair.ErrTooManyWait) {
		return esdbserver.ErrTooManyLogins
	} else if err != nil {
		return err
	}
	defer u.hashing.GiveBack(asking, 1)
	if u.isAccepted(name, sum) { // by a call that was checked meanwhile
		return nil
	}
	hash, exists := u.hashes[name]
	if !exists {
		hash = u.nobody
	}
	if err := u.compare(hash, []byte(password)); err != nil || !exists {
		return esdbserver.ErrNotAuthenticated
	}
	u.mu.Lock()
	u.accepted[name] = sum
	u.mu.Unlock()
	return nil
}

func (u *Users) isAccepted(name string, sum []byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	known := u.accepted[name]
	return known != nil && hmac.Equal(known, sum)
}

// partyOf is who asks for a check: a name at the host that a call comes from.
func partyOf(ctx context.Context, name string) fair.Party {
	if p, ok := peer.FromContext(ctx); ok {
		return fair.PartyOf(p.Addr, name)
	}
	return fair.Party{User: name}
}
