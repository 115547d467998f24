// Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"):
// ten rounds of a bijection turn a counter of 128 bits under a key of 64 into four random words.
// There is no state: the counter encodes the purpose of each number.
#ifndef PRECIS_RANDOM_PHILOX_H_
#define PRECIS_RANDOM_PHILOX_H_

#include <cstdint>

#include "random/portable_math.h"

namespace precis {

struct Philox {
  uint32_t word[4];
};

// Returns word i mod 4. An array with a variable index would lie in a GPU's local memory, so the word
// is selected.
PRECIS_HOST_DEVICE static inline uint32_t philox_word(const Philox& random, uint64_t i) {
  const uint32_t low = i % 2 == 0 ? random.word[0] : random.word[1];
  const uint32_t high = i % 2 == 0 ? random.word[2] : random.word[3];
  return i / 2 % 2 == 0 ? low : high;
}

constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53u, kPhiloxMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kPhiloxStep0 = 0x9E3779B9u, kPhiloxStep1 = 0xBB67AE85u;  // of the key

PRECIS_HOST_DEVICE static inline Philox philox4x32_10(Philox counter, uint32_t key0,
                                                      uint32_t key1) {
  uint32_t c0 = counter.word[0], c1 = counter.word[1], c2 = counter.word[2], c3 = counter.word[3];
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{kPhiloxMultiplier0} * c0, p1 = uint64_t{kPhiloxMultiplier1} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key1;
    c3 = static_cast<uint32_t>(p0);
    key0 += kPhiloxStep0;
    key1 += kPhiloxStep1;
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace precis

#endif  // PRECIS_RANDOM_PHILOX_H_
