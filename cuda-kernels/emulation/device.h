// The GPUs that are emulated, and the arithmetic of their tensor cores.
#ifndef PRECIS_EMULATION_DEVICE_H_
#define PRECIS_EMULATION_DEVICE_H_

#include <cstddef>
#include <vector>

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

// The environment variable PRECIS_EMULATION_DEVICE names the kinds of the devices, separated by
// commas: hopper (the default), ampere or ada. The last name is also that of the devices after it.
// PRECIS_EMULATION_DEVICES is their number, which is at least that of the names, and 2 where nothing
// says it. Another name or number ends the process.
constexpr int kMostDevices = 8;
int device_count();
const Device& device(int index);

// The number of the device whose work this thread runs or, outside work, of its current device.
int device_index();
// The same device.
const Device& device();

// The devices that are current for this thread: the last one is, and without any it is device 0, as
// in CUDA, where each is a context.
std::vector<int>& current_devices();

// Sets the device whose work this thread runs.
class RunningDevice {
 public:
  explicit RunningDevice(int index);
  RunningDevice(const RunningDevice&) = delete;
  ~RunningDevice();

 private:
  const int before_;
};

// Returns c + a[0] b[0] + ... + a[n - 1] b[n - 1] as the tensor cores of the device compute it for
// bfloat16 operands, after the published model MMA-Sim: a group of terms is added exactly, but for
// the bits that are too far below its largest term, and its sum is truncated to float32.
float tensor_core_sum(const float* a, const float* b, int n, float c);

}  // namespace emulation
}  // namespace precis

#endif  // PRECIS_EMULATION_DEVICE_H_
