// The GPU that is emulated, and the arithmetic of its tensor cores.
#ifndef PRECIS_EMULATION_DEVICE_H_
#define PRECIS_EMULATION_DEVICE_H_

#include <cstddef>

namespace precis {
namespace emulation {

struct Device {
  const char* name;
  int major, minor;     // the compute capability
  size_t shared_bytes;  // the most shared memory of a block
  // A sum of products takes so many terms at a time, aligned to the largest of them and cut off
  // after so many fractional bits.
  int terms, bits;
};

// The device that the environment variable PRECIS_EMULATION_DEVICE names: hopper (the default),
// ampere or ada. Another name ends the process.
const Device& device();

// Returns c + a[0] b[0] + ... + a[n - 1] b[n - 1] as the tensor cores of the device compute it for
// bfloat16 operands, after the published model MMA-Sim: a group of terms is added exactly, but for
// the bits that are too far below its largest term, and its sum is truncated to float32.
float tensor_core_sum(const float* a, const float* b, int n, float c);

}  // namespace emulation
}  // namespace precis

#endif  // PRECIS_EMULATION_DEVICE_H_
