package password

import (
	"context"
	"math"
)

// Equalise makes the verification of the correct password of a disabled user cost as much as that
// of a wrong password.
func (h *Hasher) Equalise(ctx context.Context, hash, password string) error {
	p, err := parsePHC(hash)
	if err != nil {
		return nil //nolint:nilerr // Verify has computed a dummy hash of the same cost
	}
	return h.equalise(ctx, password, p)
}

// dummy is a hash that no password matches, at the highest cost.
func (h *Hasher) dummy() phcHash {
	memory, passes := h.cost()
	return phcHash{memory: memory, time: passes, threads: argonThreads, salt: h.salt, key: h.key, size: argonKey}
}

// cost returns the memory and the passes of the most expensive hash.
func (h *Hasher) cost() (memory, passes uint32) {
	highest := h.highest.Load()
	return uint32(highest >> 32), uint32(highest & math.MaxUint32)
}

// raise makes the cost of p the highest cost if it is higher.
func (h *Hasher) raise(p phcHash) {
	for {
		highest := h.highest.Load()
		if uint64(p.memory)*uint64(p.time) <= (highest>>32)*(highest&math.MaxUint32) ||
			h.highest.CompareAndSwap(highest, uint64(p.memory)<<32|uint64(p.time)) {
			return
		}
	}
}

// equalise computes hashes that cost the difference between p and the highest cost.
func (h *Hasher) equalise(ctx context.Context, password string, p phcHash) error {
	for _, rest := range h.saved(p) {
		if _, err := h.compute(ctx, password, rest); err != nil {
			return err
		}
	}
	return nil
}

// saved returns hashes whose total cost is the difference between p and the highest cost. The cost
// of argon2id is its memory times its passes.
func (h *Hasher) saved(p phcHash) (rest []phcHash) {
	memory, passes := h.cost()
	cost := int64(memory)*int64(passes) - int64(p.memory)*int64(p.time)
	if passes := cost / int64(memory); passes > 0 {
		time := uint32(passes) //nolint:gosec // at most maxArgonTime
		rest = append(rest, phcHash{memory: memory, time: time, threads: 1, salt: h.salt, size: argonKey})
	}
	if remainder := cost % int64(memory); remainder >= 1<<10 {
		memory := uint32(remainder) //nolint:gosec // less than maxArgonMemory
		rest = append(rest, phcHash{memory: memory, time: 1, threads: 1, salt: h.salt, size: argonKey})
	}
	return rest
}
