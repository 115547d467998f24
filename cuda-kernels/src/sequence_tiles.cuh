// Blocks for tiles of rows of sequences that lie one behind the other, when only the device knows
// their lengths: sequence s has the tiles from offsets[s] / kRows + s on, which never reach those
// of the next one. A few blocks at the ends of sequences find nothing to do.
#ifndef PRECIS_CUDA_SEQUENCE_TILES_CUH_
#define PRECIS_CUDA_SEQUENCE_TILES_CUH_

#include "device.h"

namespace precis {

template <int kRows>
static inline uint32_t sequence_tiles(int64_t rows, int32_t sequences) {
  return static_cast<uint32_t>(rows / kRows + sequences);
}

struct SequenceTile {
  int sequence;
  int first;  // row of the sequence
};

// Of block `tile`; sequences is at least 1.
template <int kRows>
__device__ inline SequenceTile find_sequence_tile(const int32_t* offsets, int32_t sequences,
                                                  int tile) {
  int low = 0, high = sequences - 1;  // the last sequence that starts at or before the tile
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (offsets[middle] / kRows + middle <= tile) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return {low, (tile - offsets[low] / kRows - low) * kRows};
}

}  // namespace precis

#endif  // PRECIS_CUDA_SEQUENCE_TILES_CUH_
