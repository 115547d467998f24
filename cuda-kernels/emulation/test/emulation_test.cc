// Tests that the emulator finds faults: kernels with faults of every kind, next to correct ones.

#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "cluster.cuh"
#include "hopper.cuh"
#include "test.h"

using namespace precis;

namespace {

constexpr int kThreads = 96;

// out[i] = in of the neighbor, through shared memory; fault tells which barrier is missing.
enum Fault { kNone, kFirstBarrier, kSecondBarrier };

void rotate_kernel(const int* in, int* out, int fault) {
  PRECIS_SHARED(int, values, kThreads);
  const int next = (thread() + 1) % kThreads;
  for (int pass = 0; pass < 3; pass++) {
    values[thread()] = in[thread()] + pass;
    if (fault != kFirstBarrier) __syncthreads();
    out[pass * kThreads + thread()] = values[next] - pass;
    if (fault != kSecondBarrier) __syncthreads();
  }
}

bool rotates(int fault) {
  std::vector<int> in(kThreads), out(3 * kThreads), want(3 * kThreads);
  for (int i = 0; i < kThreads; i++) in[i] = i * i;
  for (int i = 0; i < 3 * kThreads; i++) want[i] = in[(i + 1) % kThreads];
  const cudaError_t error =
      launch("rotate", rotate_kernel, 1, kThreads, 0, nullptr, in.data(), out.data(), fault);
  EXPECT(error == cudaSuccess, "%s", emulation_error());
  return out == want;
}

void missing_barriers() {
  int wrong_without_first = 0, wrong_without_second = 0;
  for (uint64_t seed = 0; seed < 8; seed++) {
    set_emulation_seed(seed);
    EXPECT(rotates(kNone), "order %d", static_cast<int>(seed));
    wrong_without_first += !rotates(kFirstBarrier);
    wrong_without_second += !rotates(kSecondBarrier);
  }
  EXPECT(wrong_without_first == 8, "seen in %d of 8 orders", wrong_without_first);
  EXPECT(wrong_without_second >= 6, "seen in %d of 8 orders", wrong_without_second);
}

// One lane writes what the others of its warp read.
void broadcast_kernel(int* out, bool with_barrier) {
  PRECIS_SHARED(int, value, 1);
  if (thread() == 17) value[0] = 5;
  if (with_barrier) __syncwarp();
  out[thread()] = value[0];
}

void missing_warp_barrier() {
  int wrong = 0;
  for (uint64_t seed = 0; seed < 8; seed++) {
    set_emulation_seed(seed);
    std::vector<int> out(32), want(32, 5);
    (void)launch("broadcast", broadcast_kernel, 1, 32, 0, nullptr, out.data(), true);
    EXPECT(out == want);
    (void)launch("broadcast", broadcast_kernel, 1, 32, 0, nullptr, out.data(), false);
    wrong += out != want;
  }
  EXPECT(wrong == 8, "seen in %d of 8 orders", wrong);
}

// Blocks must not depend on one another, so their order is shuffled.
void counting_kernel(int* next, int* order) { order[blockIdx.x] = (*next)++; }

void block_order() {
  std::vector<int> orders[2];
  for (uint64_t seed : {2, 2, 3}) {
    set_emulation_seed(seed);
    int next = 0;
    std::vector<int> order(20);
    (void)launch("counting", counting_kernel, 20, 1, 0, nullptr, &next, order.data());
    std::vector<int>& before = orders[seed - 2];
    EXPECT(before.empty() || before == order, "a seed gives two orders");
    before = order;
  }
  EXPECT(orders[0] != orders[1], "two seeds give one order");
}

// The launch fails in every order of threads, with the expected reason.
void expect_failure(const char* why, void (*kernel)(), size_t shared_bytes = 0,
                    uint32_t cluster = 1) {
  for (uint64_t seed = 0; seed < 6; seed++) {
    set_emulation_seed(seed);
    const cudaError_t error = launch_as({cluster}, "faulty", kernel, 2, 64, shared_bytes, nullptr);
    EXPECT(error == cudaErrorLaunchFailure, "%s: status %d", why, error);
    EXPECT(std::strstr(emulation_error(), why) != nullptr, "said '%s', not '%s'", emulation_error(),
           why);
  }
}

void undefined_behavior() {
  // Not all threads reach the barrier.
  expect_failure("exited", [] {
    if (thread() != 40) __syncthreads();
  });
  // They reach different barriers.
  expect_failure("__syncthreads at line", [] {
    if (thread() < 32) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  });
  // Half the block waits at a barrier that the other half does not reach a second time.
  expect_failure("__syncthreads", [] {
    __syncthreads();
    for (int i = 0; i < thread() / 32; i++) __syncthreads();
  });
  // A barrier in one warp, a shuffle in the other.
  expect_failure("deadlock", [] {
    if (thread() % 32 < 16) {
      __syncthreads();
    } else {
      (void)__shfl_sync(kAllLanes, thread(), 0);
    }
  });
  // The source lane is not in the mask.
  expect_failure("lane 0 reads lane 16, which the mask 0000ffff does not include", [] {
    if (thread() % 32 < 16) (void)__shfl_xor_sync(0xffffu, thread(), thread() % 32 == 0 ? 16 : 1);
  });
  // Lanes of the mask do not participate.
  expect_failure("__shfl_xor_sync at line", [] {
    if (thread() % 32 < 16) (void)__shfl_xor_sync(kAllLanes, thread(), 1);
  });
  expect_failure("does not include the lane itself", [] { (void)__ballot_sync(0xfffeu, 1); });
  // Lanes that differ in what they call, or in their mask.
  expect_failure("deadlock", [] {
    if (thread() % 2 == 0) {
      (void)__ballot_sync(kAllLanes, 1);
    } else {
      (void)__ballot_sync(kAllLanes, 0);
    }
  });
  expect_failure("elements 64 to 65 of shared memory that holds 64", [] {
    PRECIS_SHARED(float, values, 64);
    if (thread() == 63) values[thread() + 1] = 0;
  });
#if !defined(__SANITIZE_ADDRESS__)  // AddressSanitizer would stop the program here
  expect_failure("outside the shared memory", [] {
    PRECIS_SHARED(float, values, 64);
    if (thread() == 5) values.at(0, 64)[64] = 0;
  });
#endif
  expect_failure(
      "the launch asked for 1024",
      [] {
        DynamicShared dynamic;
        (void)dynamic.take<float>(200);
        (void)dynamic.take<float>(57);
      },
      1024);
  expect_failure("pending asynchronous copies", [] {
    alignas(16) static float zeros[4];
    PRECIS_SHARED(float, values, 4);
    if (thread() == 0) copy_async(values.at(0, 4), zeros, true);
  });
  EXPECT(launch(
             "large", +[] {}, 1, 1025, 0, nullptr) == cudaErrorInvalidConfiguration);
  EXPECT(launch(
             "empty", +[] {}, 0, 32, 0, nullptr) == cudaErrorInvalidConfiguration);
}

// Reductions, votes and shuffles give the expected results.
void warp_kernel(int* wrong) {
  const int lane = thread() % 32;
  auto check = [&](bool right) { *wrong += !right; };
  check(warp_reduce(lane, Sum()) == 496);
  check(__shfl_sync(kAllLanes, lane * 2, 7) == 14);
  check(__shfl_up_sync(kAllLanes, lane, 3) == (lane < 3 ? lane : lane - 3));
  check(__shfl_down_sync(kAllLanes, lane, 5) == (lane > 26 ? lane : lane + 5));
  check(__shfl_xor_sync(kAllLanes, uint64_t{1} << lane, 9) == uint64_t{1} << (lane ^ 9));
  check(__ballot_sync(kAllLanes, lane % 3 == 0) == 0x49249249u);
  check(__any_sync(kAllLanes, lane == 8) == 1 && __all_sync(kAllLanes, lane < 32) == 1);
  check(__all_sync(kAllLanes, lane < 31) == 0);
  // Half a warp.
  const uint32_t half = lane < 16 ? 0xffffu : 0xffff0000u;
  check(__shfl_xor_sync(half, lane, 1) == (lane ^ 1));
  const int sum = block_reduce(thread(), Sum()) + block_reduce(1, Sum());
  check(sum == kThreads * (kThreads - 1) / 2 + kThreads);
  check(block_reduce(static_cast<float>(thread()), Largest()) == kThreads - 1);
  const float nan = __uint_as_float(0x7fc00000u);
  const float largest = block_reduce(thread() == 33 ? nan : 1.0f, Largest());
  check(largest != largest);
}

void async_kernel(const float* from, int* wrong) {
  PRECIS_SHARED(float, values, kThreads * 8);
  float* mine = values.at(thread() * 8, 8);
  copy_async(mine, from + thread() * 4, true);
  copy_async_commit();
  copy_async(mine + 4, from, false);
  copy_async_commit();
  *wrong += mine[0] == mine[0];  // has not arrived yet
  copy_async_wait<1>();
  *wrong += mine[3] != from[thread() * 4 + 3] || mine[4] == mine[4];
  copy_async_wait<0>();
  *wrong += mine[7] != 0;
}

// The product a (16 x 16) b (16 x 8) through shared memory and fragments, with b in rows or columns.
void mma_kernel(const float* a, const float* b, float* c, bool transposed) {
  PRECIS_SHARED(Bf16, as, 16 * 24);
  PRECIS_SHARED(Bf16, bs, 16 * 24);
  const int lane = thread();
  for (int i = lane; i < 256; i += 32) as[i / 16 * 24 + i % 16] = to_bf16(a[i]);
  for (int i = lane; i < 128; i += 32) {
    const int k = i / 8, n = i % 8;
    bs[transposed ? k * 24 + n : n * 24 + k] = to_bf16(b[i]);
  }
  __syncwarp();
  uint32_t af[4], bf[4];
  load_matrices<false>(as.at(lane % 16 * 24 + lane / 16 * 8, 8), af);
  if (transposed) {
    load_matrices<true>(bs.at(lane % 16 * 24, 8), bf);
  } else {
    load_matrices<false>(bs.at(lane % 8 * 24 + lane / 8 % 2 * 8, 8), bf);
  }
  float sum[4] = {1, 1, 1, 1};
  mma_bf16(sum, af, bf[0], bf[1]);
  for (int i = 0; i < 4; i++) c[(lane / 4 + 8 * (i / 2)) * 8 + 2 * (lane % 4) + i % 2] = sum[i];
}

// The instructions of sm_90a and their faults: a tile of a 70 x 70 matrix that extends beyond it, and
// the product of the tile with itself.
constexpr int kMatrix = 70, kMatrixStride = 72;
enum HopperFault { kRight, kEarly, kFewBytes, kUnaligned, kNoBarrier, kNobodyArrives, kReadEarly };

void hopper_kernel(CUtensorMap map, const Bf16* from, float* product, int* wrong, int fault) {
  DynamicShared dynamic;
  const Shared<Bf16> all = dynamic.take<Bf16>((1024 + 64 * 128 + 16) / 2);
  const uint32_t unaligned = shared_address(all.at(0, 1));
  const uint32_t tile = (unaligned + 1023) / 1024 * 1024, barrier = tile + 64 * 128;
  const Shared<Bf16> rows = all.part(static_cast<int>(tile - unaligned) / 2, 64 * 64);
  const int row = 10, column = 16;
  if (thread() == 0 && fault != kNoBarrier) {
    mbarrier_init(barrier, 1);
    mbarrier_init_fence();
  }
  __syncthreads();
  if (thread() == 0 && fault != kNobodyArrives) {
    mbarrier_arrive_expect(barrier, fault == kFewBytes ? 64 * 64 : 64 * 128);
    copy_tile(fault == kUnaligned ? tile + 128 : tile, map, column, row, barrier);
  }
  if (fault != kEarly) mbarrier_wait(barrier, 0, false);
  // Piece c of row r, of eight elements, is at the place of c ^ (r mod 8).
  for (int i = thread(); i < 64 * 64; i += 128) {
    const int r = i / 64, c = i % 64, m = row + r, n = column + c;
    const float want = m < kMatrix && n < kMatrix ? to_float(from[m * kMatrixStride + n]) : 0.0f;
    *wrong += to_float(rows[r * 64 + ((c / 8) ^ (r % 8)) * 8 + c % 8]) != want;
  }
  float d[2][4] = {};
  for (int e = 0; e < 4; e++) d[1][e] = 100;
  wgmma_fence();
  for (uint64_t k = 0; k < 4; k++) {
    wgmma(d, tile_descriptor(tile) + k * kDescriptorStep,
          tile_descriptor(tile) + k * kDescriptorStep);
  }
  wgmma_commit();
  if (fault != kReadEarly) wgmma_wait<0>();
  const int lane = thread() % 32;
  for (int j = 0; j < 2; j++) {
    for (int e = 0; e < 4; e++) {
      const int m = thread() / 32 * 16 + lane / 4 + e / 2 * 8;
      product[m * 16 + j * 8 + lane % 4 * 2 + e % 2] = d[j][e];
    }
  }
}

void hopper() {
  Random random(6);
  std::vector<Bf16> from(kMatrix * kMatrixStride);
  for (Bf16& x : from) x = {float_to_bf16(static_cast<float>(random.below(9) - 4))};
  CUtensorMap map = {};
  EXPECT(!describe_tiles(&map, from.data(), kMatrix, kMatrix, kMatrixStride + 1, 64));
  EXPECT(!describe_tiles(&map, from.data() + 1, kMatrix, kMatrix, kMatrixStride, 64));
  EXPECT(describe_tiles(&map, from.data(), kMatrix, kMatrix, kMatrixStride, 64));
  auto at = [&](int m, int k) {
    const bool inside = 10 + m < kMatrix && 16 + k < kMatrix;
    return inside ? to_float(from[(10 + m) * kMatrixStride + 16 + k]) : 0.0f;
  };
  for (uint64_t seed = 0; seed < 4; seed++) {
    set_emulation_seed(seed);
    for (int fault :
         {kRight, kEarly, kFewBytes, kUnaligned, kNoBarrier, kNobodyArrives, kReadEarly}) {
      std::vector<float> product(64 * 16);
      int wrong = 0;
      const cudaError_t error = launch("hopper", hopper_kernel, 1, 128, 1024 + 64 * 128 + 16,
                                       nullptr, map, from.data(), product.data(), &wrong, fault);
      int different = 0;
      for (int i = 0; i < 64 * 16; i++) {
        float want = i % 16 < 8 ? 0.0f : 100.0f;
        for (int k = 0; k < 64; k++) want += at(i / 16, k) * at(i % 16, k);
        different += product[static_cast<size_t>(i)] != want;
      }
      const std::string said = error == cudaSuccess ? "" : emulation_error();
      auto says = [&](const char* what) { return said.find(what) != std::string::npos; };
      switch (fault) {
        case kRight:
          EXPECT(error == cudaSuccess && wrong == 0 && different == 0, "%s, %d, %d", said.c_str(),
                 wrong, different);
          break;
        case kEarly:
          EXPECT(wrong > 0);
          break;
        case kReadEarly:
          EXPECT(wrong == 0 && different > 0);
          break;
        case kUnaligned:
          EXPECT(says("is not a multiple of 1024"), "%s", said.c_str());
          break;
        case kNoBarrier:
          EXPECT(says("there is no barrier"), "%s", said.c_str());
          break;
        default:
          EXPECT(says("waits in mbarrier_wait"), "%s", said.c_str());
      }
    }
  }
}

// Each block of a cluster adds to its own numbers those of the next one, in static and in dynamic
// shared memory, and the ranks of all, which they write into each other's memory.
enum ClusterFault { kNoFault, kNoFirst, kNoMiddle, kNoLast };

void cluster_kernel(int* out, int fault) {
  DynamicShared dynamic;
  (void)dynamic.take<int>(7);
  const Shared<int> more = dynamic.take<int>(kThreads);
  PRECIS_SHARED(int, values, kThreads);
  PRECIS_SHARED(int, ranks, kMostClusterBlocks);
  const int rank = cluster_rank(), blocks = cluster_blocks();
  values[thread()] = 1000 * static_cast<int>(blockIdx.x) + thread();
  if (fault != kNoFirst) cluster_arrive();
  more[thread()] = -thread();
  if (fault != kNoFirst) cluster_wait();
  if (thread() < blocks) peer(ranks, thread()).store(rank, rank + 1);
  if (fault != kNoMiddle) cluster_barrier();
  int sum = 0;
  for (int b = 0; b < blocks; b++) sum += ranks[b];
  const int next = (rank + 1) % blocks, neighbor = (thread() + 1) % kThreads;
  sum +=
      peer(values, next).load(neighbor) + peer(more.part(1, kThreads - 1), next).load(thread() % 8);
  if (fault != kNoLast) cluster_barrier();
  const auto block = static_cast<int>(blockIdx.x + gridDim.x * blockIdx.y);
  out[block * kThreads + thread()] = sum;
}

bool sums_in_clusters(uint32_t blocks, dim3 grid, int fault, std::string* said) {
  std::vector<int> out(grid.x * grid.y * kThreads, -1), want(out.size());
  for (size_t i = 0; i < want.size(); i++) {
    const int block = static_cast<int>(i / kThreads), thread = static_cast<int>(i % kThreads);
    const int n = static_cast<int>(blocks), x = block % static_cast<int>(grid.x);
    const int next = x / n * n + (x + 1) % n;
    want[i] = n * (n + 1) / 2 + 1000 * next + (thread + 1) % kThreads - thread % 8 - 1;
  }
  const cudaError_t error = launch_as({blocks}, "cluster", cluster_kernel, grid, kThreads,
                                      (7 + 1 + kThreads) * 4, nullptr, out.data(), fault);
  *said = error == cudaSuccess ? "" : emulation_error();
  return error == cudaSuccess && out == want;
}

void clusters() {
  int without_first = 0, without_middle = 0, without_last = 0;
  for (uint64_t seed = 0; seed < 8; seed++) {
    set_emulation_seed(seed);
    std::string said;
    for (uint32_t blocks : {1, 2, 4, 8}) {
      EXPECT(sums_in_clusters(blocks, {3 * blocks, 2}, kNoFault, &said), "clusters of %u: %s",
             blocks, said.c_str());
    }
    auto fails = [&](int fault, const char* why) {
      if (sums_in_clusters(4, 8, fault, &said)) return false;
      EXPECT(said.empty() || said.find(why) != std::string::npos, "%s", said.c_str());
      return true;
    };
    without_first += fails(kNoFirst, "before it begins");
    without_middle += fails(kNoMiddle, "after it has ended");
    without_last += fails(kNoLast, "after it has ended");
  }
  // The order of the threads decides what shows.
  EXPECT(without_first >= 2, "seen in %d of 8 orders", without_first);
  EXPECT(without_middle == 8, "seen in %d of 8 orders", without_middle);
  EXPECT(without_last >= 4, "seen in %d of 8 orders", without_last);

  expect_failure(
      "exited",
      [] {
        if (cluster_rank() == 0) cluster_barrier();
      },
      0, 2);
  expect_failure(
      " of another block at line",
      [] {
        if (cluster_rank() == 0) {
          cluster_barrier();
        } else {
          cluster_barrier();
        }
      },
      0, 2);
  expect_failure(
      "deadlock: waits in",
      [] {
        if (thread() < 32) {
          cluster_barrier();
        } else {
          __syncthreads();
        }
      },
      0, 2);
  expect_failure(
      "it has not arrived", [] { cluster_wait(); }, 0, 2);
  expect_failure(
      "it has not waited",
      [] {
        cluster_arrive();
        cluster_arrive();
      },
      0, 2);
  expect_failure(
      "a thread exits between", [] { cluster_arrive(); }, 0, 2);
  expect_failure(
      "there is no block 2 in a cluster of 2",
      [] {
        PRECIS_SHARED(int, values, 4);
        (void)peer(values, 2);
      },
      0, 2);
  expect_failure(
      "elements 4 to 5 of shared memory that holds 4",
      [] {
        PRECIS_SHARED(int, values, 4);
        cluster_barrier();
        if (thread() == 0) peer(values, 1 - cluster_rank()).store(4, 0);
        cluster_barrier();
      },
      0, 2);
  auto nothing = +[] {};
  EXPECT(launch_as({2}, "odd", nothing, 3, 32, 0, nullptr) == cudaErrorInvalidClusterSize);
  EXPECT(launch_as({16}, "large", nothing, 16, 32, 0, nullptr) == cudaErrorInvalidClusterSize);
  EXPECT(most_cluster_blocks(nothing) == kMostClusterBlocks);
}

// Returns true if a process that runs f ends before f does.
template <class F>
bool dies(const F& f) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    std::fclose(stderr);  // a sanitizer would explain
    f();
    _exit(0);
  }
  int status = 0;
  EXPECT(child > 0 && waitpid(child, &status, 0) == child);
  return status != 0;
}

void doubling_kernel(float* x, int count) {
  if (thread() < count) x[thread()] *= 2;
}

// The host reaches device memory by copies alone, and nobody reaches beyond its end.
void device_memory() {
  constexpr int kCount = 64;
  float* x = nullptr;
  cudaStream_t stream = nullptr;
  EXPECT(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  EXPECT(cudaMalloc(reinterpret_cast<void**>(&x), kCount * sizeof(float)) == cudaSuccess);
  EXPECT(reinterpret_cast<uintptr_t>(x) % 256 == 0);
  std::vector<float> values(kCount, 3), got(kCount);
  EXPECT(cudaMemcpyAsync(x, values.data(), kCount * 4, cudaMemcpyHostToDevice, stream) ==
         cudaSuccess);
  EXPECT(launch("doubling", doubling_kernel, 1, kCount, 0, stream, x, kCount) == cudaSuccess);
  EXPECT(cudaStreamSynchronize(stream) == cudaSuccess, "%s", emulation_error());
  volatile float* touched = x;
  EXPECT(dies([&] { (void)touched[0]; }), "the host read device memory");
  EXPECT(dies([&] { touched[kCount - 1] = 1; }), "the host wrote device memory");
  EXPECT(dies([&] {
           (void)launch("doubling", doubling_kernel, 1, 2 * kCount, 0, nullptr, x, kCount + 1);
         }),
         "a kernel wrote beyond the end");
  EXPECT(
      !dies([&] { (void)launch("doubling", doubling_kernel, 1, kCount, 0, nullptr, x, kCount); }));
  EXPECT(cudaMemcpy(got.data(), x, kCount * 4, cudaMemcpyDeviceToHost) == cudaSuccess);
  EXPECT(got == std::vector<float>(kCount, 6));

  size_t left = 0, without = 0, total = 0;
  EXPECT(cudaMemGetInfo(&left, &total) == cudaSuccess && left < total);
  EXPECT(cudaFree(x) == cudaSuccess && cudaFree(nullptr) == cudaSuccess);
  EXPECT(cudaMemGetInfo(&without, &total) == cudaSuccess && without > left);
  EXPECT(cudaFree(&left) == cudaErrorInvalidValue);
  EXPECT(cudaStreamDestroy(stream) == cudaSuccess);
}

void filling_kernel(int* x, int value) {
  wait_for_previous_kernel();
  x[thread()] = value;
}

// Copies x through shared memory. A fault reads it before the kernel that fills it has ended; the other
// does not wait for that kernel at all.
enum Overlap { kWaits, kReadsTooEarly, kNeverWaits };
void copying_kernel(const int* x, int* y, int fault) {
  PRECIS_SHARED(int, values, 64);
  if (fault == kReadsTooEarly) values[thread()] = x[thread()];
  __syncthreads();
  if (fault != kNeverWaits) wait_for_previous_kernel();
  if (fault != kReadsTooEarly) values[thread()] = x[thread()];
  __syncthreads();
  y[thread()] = values[63 - thread()];
}

// Kernels that may overlap do, at times.
void dependent_launches() {
  constexpr int kCount = 64, kTimes = 8;
  cudaStream_t stream = nullptr;
  int *x = nullptr, *y = nullptr;
  EXPECT(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  EXPECT(cudaMalloc(reinterpret_cast<void**>(&x), kCount * sizeof(int)) == cudaSuccess);
  EXPECT(cudaMalloc(reinterpret_cast<void**>(&y), kCount * sizeof(int)) == cudaSuccess);
  auto copy = [&](int fault) {
    return launch_as({1, true}, "copying", copying_kernel, 1, kCount, 0, stream, x, y, fault);
  };
  for (int fault : {kWaits, kReadsTooEarly}) {
    int wrong = 0;
    for (int time = 1; time <= kTimes; time++) {
      EXPECT(launch("filling", filling_kernel, 1, kCount, 0, stream, x, time) == cudaSuccess);
      EXPECT(copy(fault) == cudaSuccess);
      EXPECT(cudaStreamSynchronize(stream) == cudaSuccess, "%s", emulation_error());
      std::vector<int> got(kCount);
      EXPECT(cudaMemcpy(got.data(), y, kCount * 4, cudaMemcpyDeviceToHost) == cudaSuccess);
      wrong += got != std::vector<int>(kCount, time);
    }
    EXPECT(wrong == (fault == kWaits ? 0 : kTimes / 2), "%d of %d are wrong", wrong, kTimes);
  }

  // In a graph, what a dependent launch depends on is a kernel.
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  EXPECT(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  EXPECT(copy(kWaits) == cudaErrorInvalidValue);
  EXPECT(cudaMemsetAsync(x, 0, kCount * 4, stream) == cudaSuccess);
  EXPECT(copy(kWaits) == cudaErrorInvalidValue);
  EXPECT(launch("filling", filling_kernel, 1, kCount, 0, stream, x, 5) == cudaSuccess);
  EXPECT(copy(kWaits) == cudaSuccess);
  EXPECT(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  EXPECT(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
  EXPECT(cudaGraphLaunch(executable, stream) == cudaSuccess);
  EXPECT(cudaStreamSynchronize(stream) == cudaSuccess, "%s", emulation_error());
  EXPECT(cudaGraphExecDestroy(executable) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);

  EXPECT(copy(kNeverWaits) == cudaSuccess);
  EXPECT(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure);
  EXPECT(std::strstr(emulation_error(), "without having waited") != nullptr, "said '%s'",
         emulation_error());
  EXPECT(cudaFree(x) == cudaErrorLaunchFailure && cudaFree(y) == cudaErrorLaunchFailure);
  EXPECT(cudaStreamDestroy(stream) == cudaSuccess);
}

// Memory, streams, events and the attributes of kernels belong to one device.
void several_devices() {
  constexpr int kCount = 64;
  int devices = 0;
  EXPECT(cudaGetDeviceCount(&devices) == cudaSuccess && devices >= 2, "%d devices", devices);
  EXPECT(cudaSetDevice(devices) == cudaErrorInvalidDevice);
  EXPECT(cudaSetDevice(-1) == cudaErrorInvalidDevice);
  float* x[2] = {};
  cudaStream_t stream[2] = {};
  cudaEvent_t event[2] = {};
  size_t left[2] = {}, total = 0;
  for (int d : {0, 1}) {
    EXPECT(cudaSetDevice(d) == cudaSuccess);
    EXPECT(cudaStreamCreateWithFlags(&stream[d], cudaStreamNonBlocking) == cudaSuccess);
    EXPECT(cudaEventCreateWithFlags(&event[d], cudaEventDisableTiming) == cudaSuccess);
    EXPECT(cudaMalloc(reinterpret_cast<void**>(&x[d]), kCount * sizeof(float)) == cudaSuccess);
  }
  auto run = [&](int of, float* memory) {
    return launch("doubling", doubling_kernel, 1, kCount, 0, stream[of], memory, kCount);
  };
  // Device 1 is current.
  EXPECT(run(0, x[0]) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaMemsetAsync(x[0], 0, 4, stream[0]) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaEventRecord(event[0], stream[1]) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaEventRecord(event[0], stream[0]) == cudaSuccess);
  const std::vector<float> values(kCount, 3);
  std::vector<float> got(kCount);
  for (int d : {0, 1}) {
    EXPECT(cudaMemcpyAsync(x[d], values.data(), kCount * 4, cudaMemcpyHostToDevice, stream[d]) ==
           cudaSuccess);
  }
  EXPECT(run(1, x[1]) == cudaSuccess);
  EXPECT(cudaStreamSynchronize(stream[0]) == cudaSuccess);
  EXPECT(cudaDeviceSynchronize() == cudaSuccess, "%s", emulation_error());
  EXPECT(dies([&] {
           (void)run(1, x[0]);
           (void)cudaStreamSynchronize(stream[1]);
         }),
         "a kernel of device 1 wrote memory of device 0");
  EXPECT(
      dies([&] { (void)launch("doubling", doubling_kernel, 1, kCount, 0, nullptr, x[0], kCount); }),
      "a kernel of device 1 wrote memory of device 0");
  for (int d : {0, 1}) {
    EXPECT(cudaMemcpy(got.data(), x[d], kCount * 4, cudaMemcpyDeviceToHost) == cudaSuccess);
    EXPECT(got == std::vector<float>(kCount, d == 0 ? 3.0f : 6.0f));
  }

  // A graph belongs to the device of the stream that was captured.
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  EXPECT(cudaStreamBeginCapture(stream[1], cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  EXPECT(run(1, x[1]) == cudaSuccess);
  // Another thread may allocate, free and synchronize its own stream meanwhile.
  std::thread([&] {
    void* more = nullptr;
    EXPECT(cudaMalloc(&more, 64) == cudaSuccess && cudaFree(more) == cudaSuccess);
    EXPECT(cudaStreamSynchronize(stream[0]) == cudaSuccess);
  }).join();
  EXPECT(cudaStreamEndCapture(stream[1], &graph) == cudaSuccess);
  EXPECT(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
  EXPECT(cudaGraphLaunch(executable, stream[1]) == cudaSuccess);
  EXPECT(cudaStreamSynchronize(stream[1]) == cudaSuccess, "%s", emulation_error());
  EXPECT(cudaSetDevice(0) == cudaSuccess);
  EXPECT(cudaGraphLaunch(executable, stream[0]) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaGraphExecDestroy(executable) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
  EXPECT(cudaMemcpy(got.data(), x[1], kCount * 4, cudaMemcpyDeviceToHost) == cudaSuccess);
  EXPECT(got == std::vector<float>(kCount, 12));
  // Its capture ends where another thread synchronizes the stream itself.
  EXPECT(cudaStreamBeginCapture(stream[0], cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  std::thread([&] {
    EXPECT(cudaStreamSynchronize(stream[0]) == cudaErrorStreamCaptureUnsupported);
  }).join();
  EXPECT(cudaStreamEndCapture(stream[0], &graph) == cudaErrorStreamCaptureInvalidated);

  // Device 0 is current, and what a kernel may ask for there says nothing about device 1.
  auto large = [&](int of) {
    return emulation::submit_kernel(stream[of], reinterpret_cast<const void*>(doubling_kernel),
                                    {"large", 1, 1, 64 << 10}, [] {});
  };
  EXPECT(large(0) == cudaErrorInvalidValue);
  EXPECT(cudaFuncSetAttribute(doubling_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              1 << 20) == cudaErrorInvalidValue);
  EXPECT(cudaFuncSetAttribute(doubling_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              64 << 10) == cudaSuccess);
  EXPECT(large(0) == cudaSuccess);
  EXPECT(cudaSetDevice(1) == cudaSuccess);
  EXPECT(large(1) == cudaErrorInvalidValue);

  EXPECT(cudaMemGetInfo(&left[0], &total) == cudaSuccess);
  for (int d : {0, 1}) {
    EXPECT(cudaFree(x[d]) == cudaSuccess && cudaStreamDestroy(stream[d]) == cudaSuccess &&
           cudaEventDestroy(event[d]) == cudaSuccess);
  }
  EXPECT(cudaMemGetInfo(&left[1], &total) == cudaSuccess && left[1] == left[0] + 4096);
  EXPECT(cudaSetDevice(0) == cudaSuccess);

  // A thread has no context until it uses a device; contexts are pushed and popped.
  std::thread([] {
    CUcontext current = nullptr, of_1 = nullptr;
    int device = 7;
    EXPECT(cuCtxGetCurrent(&current) == CUDA_SUCCESS && current == nullptr);
    EXPECT(cuDevicePrimaryCtxRetain(&of_1, 1) == CUDA_SUCCESS);
    EXPECT(cuCtxPushCurrent(of_1) == CUDA_SUCCESS);
    EXPECT(cudaGetDevice(&device) == cudaSuccess && device == 1);
    EXPECT(cuCtxPopCurrent(&current) == CUDA_SUCCESS && current == of_1);
    EXPECT(cuCtxPopCurrent(&current) == CUDA_ERROR_INVALID_CONTEXT);
    EXPECT(cudaGetDevice(&device) == cudaSuccess && device == 0);
    EXPECT(cuCtxGetCurrent(&current) == CUDA_SUCCESS && current == nullptr);
    void* memory = nullptr;
    EXPECT(cudaMalloc(&memory, 8) == cudaSuccess && cudaFree(memory) == cudaSuccess);
    EXPECT(cuCtxGetCurrent(&current) == CUDA_SUCCESS && current != nullptr && current != of_1);
  }).join();
}

void right_results() {
  Random random(5);
  alignas(16) static float from[kThreads * 4];
  std::vector<float> a(256), b(128), c(128);
  for (float& x : from) x = random.normal();
  // Small integers: exact in bfloat16, and their sums in float32.
  for (float& x : a) x = static_cast<float>(random.below(9) - 4);
  for (float& x : b) x = static_cast<float>(random.below(9) - 4);
  for (uint64_t seed = 0; seed < 4; seed++) {
    set_emulation_seed(seed);
    int wrong = 0;
    EXPECT(launch("warp", warp_kernel, 3, kThreads, 0, nullptr, &wrong) == cudaSuccess, "%s",
           emulation_error());
    EXPECT(wrong == 0, "%d wrong", wrong);
    EXPECT(launch("async", async_kernel, 1, kThreads, 0, nullptr, from, &wrong) == cudaSuccess,
           "%s", emulation_error());
    EXPECT(wrong == 0, "%d wrong", wrong);
    for (bool transposed : {false, true}) {
      EXPECT(launch("mma", mma_kernel, 1, 32, 0, nullptr, a.data(), b.data(), c.data(),
                    transposed) == cudaSuccess,
             "%s", emulation_error());
      for (int i = 0; i < 128; i++) {
        float want = 1;
        for (int k = 0; k < 16; k++) want += a[i / 8 * 16 + k] * b[k * 8 + i % 8];
        EXPECT(c[i] == want, "[%d, %d] is %g, not %g", i / 8, i % 8, c[i], want);
      }
    }
  }
}

}  // namespace

int main() {
  missing_barriers();
  missing_warp_barrier();
  block_order();
  undefined_behavior();
  clusters();
  hopper();
  device_memory();
  dependent_launches();
  several_devices();
  right_results();
  return test_result();
}
