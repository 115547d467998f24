// Clusters of thread blocks, of compute capability 9.0 and later: blocks that run at the same time
// and reach each other's shared memory (distributed shared memory). In code for other GPUs, and in a
// launch without clusters, a block is a cluster of its own, and all of this still holds.
//
//   cluster_blocks(), cluster_rank()    the number of its blocks, and which of them this one is
//   cluster_barrier()                   __syncthreads of all its threads
//   cluster_arrive(), cluster_wait()    the two halves of one
//   peer(values, rank)                  a Shared<T> of this block as it is in another one, whose
//                                       elements of 4, 8 or 16 bytes are loaded and stored
//
// A peer's memory may be touched from the first barrier of the cluster on, and as long as the peer
// has not ended.
#ifndef PRECIS_CUDA_CLUSTER_CUH_
#define PRECIS_CUDA_CLUSTER_CUH_

#include "device.h"

// Defined as 1 if this pass of the compiler generates code for GPUs with clusters.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define PRECIS_CLUSTERS 1
#else
#define PRECIS_CLUSTERS 0
#endif

namespace precis {

#if defined(__CUDACC__)
__device__ __forceinline__ int cluster_blocks() {
#if PRECIS_CLUSTERS
  uint32_t blocks;
  asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(blocks));
  return static_cast<int>(blocks);
#else
  return 1;
#endif
}
__device__ __forceinline__ int cluster_rank() {
#if PRECIS_CLUSTERS
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctaid.x;" : "=r"(rank));
  return static_cast<int>(rank);
#else
  return 0;
#endif
}
__device__ __forceinline__ void cluster_arrive() {
#if PRECIS_CLUSTERS
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
#endif
}
__device__ __forceinline__ void cluster_wait() {
#if PRECIS_CLUSTERS
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
#else
  __syncthreads();
#endif
}
__device__ __forceinline__ void cluster_barrier() {
  cluster_arrive();
  cluster_wait();
}

// The same where the number of its blocks is at hand: a single one needs less.
__device__ __forceinline__ void cluster_barrier(int blocks) {
  if (blocks == 1) {
    __syncthreads();
  } else {
    cluster_barrier();
  }
}

#if PRECIS_CLUSTERS
template <class T>
class PeerShared {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  static constexpr int kWords = static_cast<int>(sizeof(T)) / 4;

 public:
  __device__ __forceinline__ PeerShared(const Shared<T>& values, int rank) {
    const uint32_t own = static_cast<uint32_t>(__cvta_generic_to_shared(values.at(0, 0)));
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(start_) : "r"(own), "r"(rank));
  }
  __device__ __forceinline__ T load(int i) const {
    uint32_t w[kWords];
    const uint32_t at = start_ + static_cast<uint32_t>(i) * static_cast<uint32_t>(sizeof(T));
    if constexpr (kWords == 1) {
      asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(w[0]) : "r"(at));
    } else if constexpr (kWords == 2) {
      asm volatile("ld.shared::cluster.v2.u32 {%0, %1}, [%2];" : "=r"(w[0]), "=r"(w[1]) : "r"(at));
    } else {
      asm volatile("ld.shared::cluster.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
                   : "r"(at));
    }
    T value;
    memcpy(&value, w, sizeof value);
    return value;
  }
  __device__ __forceinline__ void store(int i, T value) const {
    uint32_t w[kWords];
    memcpy(w, &value, sizeof value);
    const uint32_t at = start_ + static_cast<uint32_t>(i) * static_cast<uint32_t>(sizeof(T));
    if constexpr (kWords == 1) {
      asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(at), "r"(w[0]) : "memory");
    } else if constexpr (kWords == 2) {
      asm volatile("st.shared::cluster.v2.u32 [%0], {%1, %2};" ::"r"(at), "r"(w[0]), "r"(w[1])
                   : "memory");
    } else {
      asm volatile("st.shared::cluster.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(w[0]),
                   "r"(w[1]), "r"(w[2]), "r"(w[3])
                   : "memory");
    }
  }

 private:
  uint32_t start_;
};
#else
template <class T>
class PeerShared {
 public:
  __device__ __forceinline__ PeerShared(const Shared<T>& values, int) : values_(values) {}
  __device__ __forceinline__ T load(int i) const { return values_[i]; }
  __device__ __forceinline__ void store(int i, T value) const { values_[i] = value; }

 private:
  Shared<T> values_;
};
#endif
#else
inline int cluster_blocks() { return static_cast<int>(emulation::cluster_blocks()); }
inline int cluster_rank() { return static_cast<int>(emulation::cluster_rank()); }
inline void cluster_arrive(PRECIS_WHERE) { emulation::cluster_arrive(where); }
inline void cluster_wait(PRECIS_WHERE) { emulation::cluster_wait(where); }
inline void cluster_barrier(PRECIS_WHERE) {
  emulation::cluster_arrive(where);
  emulation::cluster_wait(where);
}
inline void cluster_barrier(int, PRECIS_WHERE) { cluster_barrier(where); }

template <class T>
class PeerShared {
 public:
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);

  PeerShared(const Shared<T>& values, int rank)
      : values_(
            static_cast<T*>(emulation::peer_shared(values.at(0, 0), static_cast<uint32_t>(rank))),
            values.count()),
        rank_(static_cast<uint32_t>(rank)) {}
  T load(int i) const { return touched(i); }
  void store(int i, T value) const { touched(i) = value; }

 private:
  T& touched(int i) const {
    emulation::touch_peer(rank_);
    return values_[i];
  }

  Shared<T> values_;
  uint32_t rank_;
};
#endif

template <class T>
__device__ __forceinline__ PeerShared<T> peer(const Shared<T>& values, int rank) {
  return PeerShared<T>(values, rank);
}

}  // namespace precis

#endif  // PRECIS_CUDA_CLUSTER_CUH_
