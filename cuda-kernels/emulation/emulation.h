// Runs the kernels of cuda-kernels/src on the host. device.h includes this file in place of CUDA's
// headers when a plain C++ compiler reads a .cu source.
//
// A block's threads are fibers of one operating system thread. Each runs until it waits at a barrier
// or in a shuffle, and a seeded random number selects the next one: a kernel that lacks a barrier
// gives a wrong result for some seed. Blocks run one after the other, in shuffled order; those of a
// cluster run together. The same seed gives the same order.
//
// Undefined behavior ends the launch with cudaErrorLaunchFailure, and emulation_error() tells what
// happened and where:
//   - a barrier that not all threads of the block reach, or that they reach on different lines;
//   - a shuffle, vote or warp barrier whose mask names a lane that has exited, does not exist or
//     never arrives, or that reads a lane outside the mask;
//   - a misaligned address;
//   - an index outside shared memory (Shared<T> in device.h), or a write next to it;
//   - a barrier of a cluster that not all of its threads reach, or that they reach on different
//     lines, or at which a thread arrives and does not wait; a touch of the shared memory of a block of
//     the cluster that has not begun or has ended;
//   - a thread of a dependent launch that ends without having waited for the kernel before it.
// Shared memory is filled with NaN before every block. Asynchronous copies arrive only when a thread
// waits for them; until then their destination holds NaN. Of every two kernels in a row of which the
// second is a dependent launch, some run as far apart as they may: the first one begins only when no
// thread of the first block of the second can go on without it. What the second reads too early is old.
//
// device.h has the GPUs that are emulated: their number, their shared memory and their tensor cores'
// arithmetic. The memory of one can be touched only by work of its own streams, on which kernels are
// launched only while it is current, and how much dynamic shared memory a kernel may ask for is set
// for each: a context that mistakes one GPU for another fails.
//
// The environment variable PRECIS_EMULATION_LOG names a file that receives one line for each
// operation of a stream, its fields separated by tabs: "kernel", its name, the three dimensions of
// the grid, the threads of a block, its bytes of dynamic shared memory, the blocks of a cluster, and
// whether the launch is a dependent one, 0 or 1; or "fill" or "copy" and the bytes. With
// PRECIS_EMULATION_LOG_ONLY=1 kernels are logged and not run. A context chooses its kernels by the
// number of multiprocessors, 3 or PRECIS_EMULATION_MULTIPROCESSORS.
//
// Floating-point atomics are missing on purpose, because their order is undefined, and so is
// __activemask. Memory ordering between blocks, clocks and the number of registers are not modeled.
#ifndef PRECIS_EMULATION_H_
#define PRECIS_EMULATION_H_

#include <math.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <source_location>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint2 {
  uint32_t x, y;
};
struct uint3 {
  uint32_t x, y, z;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct dim3 {
  uint32_t x, y, z;
  constexpr dim3(uint32_t x_ = 1, uint32_t y_ = 1, uint32_t z_ = 1) : x(x_), y(y_), z(z_) {}
};

// The errors that we use, with CUDA's names and numbers.
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorInvalidClusterSize = 912
};
using cudaStream_t = void*;
using cudaEvent_t = void*;
using cudaGraph_t = void*;
using cudaGraphExec_t = void*;

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

namespace precis {

// Sets the order of threads and blocks: 0 ascending, 1 descending, otherwise random from this seed.
void set_emulation_seed(uint64_t seed);

// The reason why the last launch failed; empty if it succeeded.
const char* emulation_error();

namespace emulation {

using Where = std::source_location;

// Makes the launch fail, from inside a kernel.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// A lane's input to a warp operation and its output.
struct Exchange {
  alignas(16) unsigned char in[64];
  alignas(16) unsigned char out[32];
};
// Called once for each operation, when all lanes of the mask have arrived.
using Resolve = void (*)(Exchange* lanes[32], uint32_t mask);

void block_barrier(const Where& where);
// Waits for the lanes of mask. Returns the caller's exchange, whose input is copied from bytes.
Exchange& warp_operation(const char* name, uint32_t mask, const void* bytes, size_t count,
                         Resolve resolve, const Where& where);
int lane();

// Suspends the thread until a notification of the event; then the thread checks its condition itself.
void wait_for(const void* event, const char* name, const Where& where);
void notify(const void* event);
// Empty when a block starts: hopper.cc keeps the state of the running block here.
std::shared_ptr<void>& block_state();

// Returns shared memory of the running block, the same for each thread that names the same variable.
void* shared_variable(const void* key, size_t bytes);
void* dynamic_shared(size_t* bytes);

// Blocks along x that run together. cluster.cuh has the functions for kernels.
uint32_t cluster_blocks();
uint32_t cluster_rank();
void cluster_arrive(const Where& where);
void cluster_wait(const Where& where);
// Returns whether this device has clusters and dependent launches.
bool is_sm90();
// Returns the address in another block of the cluster of what is at p in the running block's shared
// memory. touch_peer is called before every access to it.
void* peer_shared(const void* p, uint32_t rank);
void touch_peer(uint32_t rank);

void wait_for_previous_kernel();

// A misaligned address is an error, as on a GPU.
uint4 load16(const void* p);
uint2 load8(const void* p);
void store16(void* p, uint4 v);

// Copies zeros if from is nullptr.
void copy_async(void* to, const void* from, size_t bytes);
void copy_async_commit();
void copy_async_wait(int groups_left);

// mma and ldmatrix; device.h documents the layout of the fragments.
void mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
              const Where& where = Where::current());
void load_matrices(const void* row, bool transposed, uint32_t (&r)[4],
                   const Where& where = Where::current());

// Writes a line about work that is not a kernel to the log.
void log_work(const char* kind, size_t bytes);

// A launch: the blocks of a cluster, and whether the kernel may begin before the one before it ends.
struct LaunchShape {
  const char* name;
  dim3 grid, block;
  size_t shared_bytes;
  uint32_t cluster = 1;
  bool dependent = false;
};

// Runs a kernel, and at the latest when its threads wait for it the work before it, if there is any.
cudaError_t run(const LaunchShape& shape, const std::function<void()>& thread,
                const std::function<cudaError_t()>& previous = nullptr);
// Returns whether launches are written to a log, which keeps them in their order.
bool is_logging();

// Does the work now or, on a stream, when the stream is synchronized: reading a result or changing an
// argument too early shows. The stream must be the current device's.
cudaError_t submit(cudaStream_t stream, std::function<cudaError_t()> work);
// Likewise, for a kernel: its dynamic shared memory may exceed 48 KiB only as far as
// cudaFuncSetAttribute allowed it on the current device, and in a capture a dependent launch must follow
// another kernel.
cudaError_t submit_kernel(cudaStream_t stream, const void* kernel, const LaunchShape& shape,
                          std::function<void()> thread);
cudaError_t set_shared_bytes(const void* kernel, int bytes);

template <class T>
T shuffle(const char* name, uint32_t mask, T value, int source, const Where& where) {
  static_assert(sizeof(T) <= 8);
  struct In {
    T value;
    int source;
  } in = {value, source};
  Exchange& e = warp_operation(
      name, mask, &in, sizeof in,
      [](Exchange* lanes[32], uint32_t present) {
        for (int i = 0; i < 32; i++) {
          if ((present >> i & 1) == 0) continue;
          In mine, theirs;
          std::memcpy(&mine, lanes[i]->in, sizeof mine);
          if ((present >> mine.source & 1) == 0) {
            fail("lane %d reads lane %d, which the mask %08x does not include", i, mine.source,
                 present);
          }
          std::memcpy(&theirs, lanes[mine.source]->in, sizeof theirs);
          std::memcpy(lanes[i]->out, &theirs.value, sizeof(T));
        }
      },
      where);
  T result;
  std::memcpy(&result, e.out, sizeof result);
  return result;
}

}  // namespace emulation
}  // namespace precis

#define PRECIS_WHERE const precis::emulation::Where& where = precis::emulation::Where::current()

inline void __syncthreads(PRECIS_WHERE) { precis::emulation::block_barrier(where); }

inline void __syncwarp(uint32_t mask = 0xffffffffu, PRECIS_WHERE) {
  precis::emulation::warp_operation(
      "__syncwarp", mask, nullptr, 0, [](precis::emulation::Exchange* [32], uint32_t) {}, where);
}

template <class T>
T __shfl_sync(uint32_t mask, T value, int source, PRECIS_WHERE) {
  return precis::emulation::shuffle("__shfl_sync", mask, value, source & 31, where);
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int lanes, PRECIS_WHERE) {
  return precis::emulation::shuffle("__shfl_xor_sync", mask, value,
                                    (precis::emulation::lane() ^ lanes) & 31, where);
}
// A lane whose source would be outside the warp keeps its own value.
template <class T>
T __shfl_up_sync(uint32_t mask, T value, unsigned lanes, PRECIS_WHERE) {
  const int me = precis::emulation::lane(), from = me - static_cast<int>(lanes);
  return precis::emulation::shuffle("__shfl_up_sync", mask, value, from < 0 ? me : from, where);
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned lanes, PRECIS_WHERE) {
  const int me = precis::emulation::lane(), from = me + static_cast<int>(lanes);
  return precis::emulation::shuffle("__shfl_down_sync", mask, value, from > 31 ? me : from, where);
}

inline uint32_t __ballot_sync(uint32_t mask, int predicate, PRECIS_WHERE) {
  using precis::emulation::Exchange;
  Exchange& e = precis::emulation::warp_operation(
      "__ballot_sync", mask, &predicate, sizeof predicate,
      [](Exchange* lanes[32], uint32_t present) {
        uint32_t votes = 0;
        for (int i = 0; i < 32; i++) {
          int yes = 0;
          if ((present >> i & 1) != 0) std::memcpy(&yes, lanes[i]->in, sizeof yes);
          votes |= uint32_t{yes != 0} << i;
        }
        for (int i = 0; i < 32; i++) {
          if ((present >> i & 1) != 0) std::memcpy(lanes[i]->out, &votes, sizeof votes);
        }
      },
      where);
  uint32_t votes;
  std::memcpy(&votes, e.out, sizeof votes);
  return votes;
}
inline int __any_sync(uint32_t mask, int predicate, PRECIS_WHERE) {
  return __ballot_sync(mask, predicate, where) != 0;
}
inline int __all_sync(uint32_t mask, int predicate, PRECIS_WHERE) {
  return __ballot_sync(mask, predicate, where) == mask;
}

// Only integers: their sums and extremes do not depend on the order.
inline uint32_t atomicAdd(uint32_t* to, uint32_t value) {
  const uint32_t before = *to;
  *to += value;
  return before;
}
inline unsigned long long atomicAdd(unsigned long long* to, unsigned long long value) {
  const unsigned long long before = *to;
  *to += value;
  return before;
}
inline unsigned long long atomicMin(unsigned long long* to, unsigned long long value) {
  const unsigned long long before = *to;
  if (value < before) *to = value;
  return before;
}

inline uint32_t __float_as_uint(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __uint_as_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline int __popc(uint32_t x) { return __builtin_popcount(x); }
inline int __ffs(uint32_t x) { return __builtin_ffs(static_cast<int>(x)); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __expf(float x) { return expf(x); }

// Device memory is host memory that can be touched only while work of the same device's streams runs:
// a host or a kernel of another device that reads or writes it gets SIGSEGV, as it would with the
// memory of a GPU. (Copies on a stream likewise; CUDA's reach the memory of every GPU.) These
// functions have the names and the calling convention of CUDA, so that a test that was compiled
// against them can be linked with the real ones.
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
using cudaHostFn_t = void (*)(void*);
extern "C" {
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t work, void* argument);
const char* cudaGetErrorString(cudaError_t error);
}

// The further functions of CUDA 13 that runtime/ uses.
#define CUDART_VERSION 13000
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0,
                   cudaHostAllocPortable = 1, cudaHostAllocMapped = 2;
struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  size_t sharedMemPerBlockOptin;
};
cudaError_t cudaGetLastError();
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
template <class T>
cudaError_t cudaFuncSetAttribute(T* kernel, cudaFuncAttribute, int value) {
  return precis::emulation::set_shared_bytes(reinterpret_cast<const void*>(kernel), value);
}
cudaError_t cudaMemGetInfo(size_t* left, size_t* total);
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemset2DAsync(void* memory, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream);
// A capture records the stream's work. Until it ends, allocating, freeing and synchronizing fail in
// the thread that began it, as synchronizing that stream does in every thread, and invalidate it.
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal };
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);

// The driver's stack of current contexts, one of each device and thread. A device that is used
// without any becomes current.
enum CUresult {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_CONTEXT = 201
};
using CUdevice = int;
using CUcontext = struct CUctx_st*;
CUresult cuDeviceGet(CUdevice* device, int index);
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device);
CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active);
CUresult cuCtxGetCurrent(CUcontext* context);
CUresult cuCtxPushCurrent(CUcontext context);
CUresult cuCtxPopCurrent(CUcontext* context);

#endif  // PRECIS_EMULATION_H_
