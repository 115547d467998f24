// What hopper.cuh needs on the host. Copies of the copy engine arrive when somebody waits for their
// barrier and not before, products of wgmma are done when their group is waited for: what is read
// or overwritten too early shows in the result. A barrier that nobody completes ends the launch.
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

// As a kernel sees dynamic shared memory: it begins at a multiple of 128 that is none of 1024.
uint32_t shared_address(const void* p);

void mbarrier_init(uint32_t barrier, uint32_t count);
// bytes is what the phase expects beyond the arrival.
void mbarrier_arrive(uint32_t barrier, uint32_t bytes, const Where& where = Where::current());
void mbarrier_wait(uint32_t barrier, uint32_t parity, const Where& where = Where::current());
void copy_tile(uint32_t to, const CUtensorMap& map, int column, int row, uint32_t barrier);

// d has count elements, of 2 count columns.
void wgmma(float* d, int count, uint64_t a, uint64_t b);
void wgmma_commit();
void wgmma_wait(int groups_left, const Where& where = Where::current());

}  // namespace emulation
}  // namespace precis

#endif  // PRECIS_EMULATION_HOPPER_H_
