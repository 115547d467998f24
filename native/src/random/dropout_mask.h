// The mask of dropout (Srivastava et al. 2014).
//
// The random word of element index is a function of (seed, offset, index) alone: word
// (index / 16) mod 4 of Philox under the key seed at the counter
// {index / 64 * 16 + index mod 16, offset}, 64 bits each. So sixteen counters make the words of 64
// neighbors that start at a multiple of 64, in vectors of up to 16 lanes without a shuffle. An
// element is kept when its word is at least dropout_threshold.
//
// index is m N + n for element (m, n) of an (M, N) matrix. The probabilities of attention are such
// a matrix with a row for each row of q and head, and 2^31 columns. Where dropout_rows names the
// example that a row belongs to and the row's position in it, these take the place of m and of the
// upper half of offset, so that the mask does not depend on where in a batch the row lies.
#ifndef PRECIS_RANDOM_DROPOUT_MASK_H_
#define PRECIS_RANDOM_DROPOUT_MASK_H_

#include "random/philox.h"

namespace precis {

// Elements with neighboring counters.
constexpr int64_t kDropoutGroup = 64;

// Returns probability, in [0, 1), in units of 2^-32, rounded down.
PRECIS_HOST_DEVICE static inline uint32_t dropout_threshold(float probability) {
  return static_cast<uint32_t>(probability * 0x1p32f);
}

PRECIS_HOST_DEVICE static inline Philox dropout_counter(uint64_t offset, uint64_t index) {
  const uint64_t position = index / 64 * 16 + index % 16;
  return {{static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32),
           static_cast<uint32_t>(offset), static_cast<uint32_t>(offset >> 32)}};
}

PRECIS_HOST_DEVICE static inline uint32_t dropout_word(uint64_t seed, uint64_t offset,
                                                       uint64_t index) {
  const Philox random = philox4x32_10(dropout_counter(offset, index), static_cast<uint32_t>(seed),
                                      static_cast<uint32_t>(seed >> 32));
  return philox_word(random, index / 16);
}

PRECIS_HOST_DEVICE static inline bool dropout_keeps(uint64_t seed, uint64_t offset, uint64_t index,
                                                    uint32_t threshold) {
  return dropout_word(seed, offset, index) >= threshold;
}

// A row of a mask: element n of it is at row N + n under the offset.
struct DropoutRow {
  uint64_t row, offset;
};

// Returns the row of the mask that belongs to row m. rows: dropout_rows, or NULL.
PRECIS_HOST_DEVICE static inline DropoutRow dropout_row(const int64_t* rows, int64_t m,
                                                        uint64_t offset) {
  if (rows == nullptr) return {static_cast<uint64_t>(m), offset};
  const auto name = static_cast<uint64_t>(rows[m]);
  return {name & 0xffffffff, offset + (name >> 32 << 32)};
}

// Returns the index of a probability of attention. row heads + head is below
// kMaxAttentionDropoutRows.
constexpr int64_t kMaxAttentionDropoutRows = int64_t{1} << 33;
PRECIS_HOST_DEVICE static inline uint64_t attention_dropout_index(uint64_t row, int64_t heads,
                                                                  int64_t head, int64_t key) {
  return ((row * static_cast<uint64_t>(heads) + static_cast<uint64_t>(head)) << 31) +
         static_cast<uint64_t>(key);
}

}  // namespace precis

#endif  // PRECIS_RANDOM_DROPOUT_MASK_H_
