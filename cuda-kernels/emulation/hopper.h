// The host's implementation of hopper.cuh. TMA copies arrive only when a thread waits for their
// barrier, and products of wgmma are computed only when a thread waits for their group: reading or
// overwriting too early shows in the result. A barrier that no thread completes ends the launch.
#ifndef PRECIS_EMULATION_HOPPER_H_
#define PRECIS_EMULATION_HOPPER_H_

#include "emulation.h"

#define __grid_constant__

// A matrix of 16-bit elements, read in boxes of 64 columns.
struct alignas(64) CUtensorMap {
  const void* data;
  uint64_t columns, rows, stride_bytes;
  uint32_t box_rows;
};

namespace precis {
namespace emulation {

// The address of dynamic shared memory in a kernel: it starts at a multiple of 128, not of 1024.
uint32_t shared_address(const void* p);

void mbarrier_init(uint32_t barrier, uint32_t count);
// bytes are expected by the phase in addition to the arrival.
void mbarrier_arrive(uint32_t barrier, uint32_t bytes, const Where& where = Where::current());
void mbarrier_wait(uint32_t barrier, uint32_t parity, const Where& where = Where::current());
void copy_tile(uint32_t to, const CUtensorMap& map, int column, int row, uint32_t barrier);

// d has count elements, which belong to 2 count columns.
void wgmma(float* d, int count, uint64_t a, uint64_t b);
void wgmma_commit();
void wgmma_wait(int groups_left, const Where& where = Where::current());

}  // namespace emulation
}  // namespace precis

#endif  // PRECIS_EMULATION_HOPPER_H_
