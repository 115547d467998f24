// Blocks that share a row of sample.
#ifndef PRECIS_CUDA_SAMPLE_CLUSTERS_H_
#define PRECIS_CUDA_SAMPLE_CLUSTERS_H_

#include "kernels.h"

namespace precis {

// Returns how many blocks, a power of two up to `most`, share each of m rows of n logits.
int blocks_of_sampled_row(const CudaContext& context, int64_t m, int64_t n, int most);

// sample_cuda with so many blocks a row, which do not change the result. It is an error where the
// device has no clusters and there are several.
cudaError_t sample_in_clusters(CudaContext& context, const precis_sample_args& a, int blocks);

}  // namespace precis

#endif  // PRECIS_CUDA_SAMPLE_CLUSTERS_H_
