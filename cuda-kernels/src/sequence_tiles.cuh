// The assignment of blocks to tiles of rows of concatenated sequences, whose lengths only the
// device knows: sequence s has the tiles from offsets[s] / kRows + s on, which never reach those of
// the next sequence. A few blocks at the ends of sequences have no work.
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
  int first;  // the tile's first row, counted from the start of the sequence
};

// Returns the tile of block `tile`; sequences is at least 1.
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
