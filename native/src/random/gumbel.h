// Gumbel noise for sampling tokens: the index with the largest logit + noise is distributed as the
// softmax of the logits (Gumbel 1954; Maddison, Tarlow & Minka 2014).
//
// The noise of index i is a function of (seed, stream, offset, i) alone: word (i / 16) mod 4 of
// Philox under the key seed at the counter {i / 64 * 16 + i mod 16, offset, stream}. So sixteen
// counters make the noise of 64 neighboring indices, in vectors of up to 16 lanes without a
// shuffle. Offsets stay below 2^32.
#ifndef PRECIS_RANDOM_GUMBEL_H_
#define PRECIS_RANDOM_GUMBEL_H_

#include "random/philox.h"

namespace precis {

// Above the largest value of gumbel_of_bits, 22.181.
constexpr float kLargestGumbel = 22.2f;

// -log(-log(u)) for u = (h + 1/2) / 2^31, h the upper 31 bits of random. Where u is near 1, 1 - u
// is what has the bits, and log(u) = log1p(-(1 - u)): the noise keeps its precision up to 22.18.
PRECIS_HOST_DEVICE static inline float gumbel_of_bits(uint32_t random) {
  const int32_t h = static_cast<int32_t>(random >> 1);
  const float u = (static_cast<float>(h) + 0.5f) * 0x1p-31f;
  const float rest = (static_cast<float>(0x7fffffff - h) + 0.5f) * 0x1p-31f;
  float k, f;
  portable_log_split(u, &k, &f);
  f = k == 0.0f ? -rest : f;
  return -portable_log(-portable_log_parts(k, f));
}

PRECIS_HOST_DEVICE static inline Philox gumbel_counter(uint64_t stream, uint64_t offset,
                                                       uint32_t first) {
  return {{first, static_cast<uint32_t>(offset), static_cast<uint32_t>(stream),
           static_cast<uint32_t>(stream >> 32)}};
}

PRECIS_HOST_DEVICE static inline float gumbel_noise(uint64_t seed, uint64_t stream, uint64_t offset,
                                                    uint32_t index) {
  const Philox random =
      philox4x32_10(gumbel_counter(stream, offset, index / 64 * 16 + index % 16),
                    static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return gumbel_of_bits(philox_word(random, index / 16));
}

}  // namespace precis

#endif  // PRECIS_RANDOM_GUMBEL_H_
