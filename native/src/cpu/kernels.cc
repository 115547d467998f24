#include "cpu/kernels.h"

#include "ops/convert.h"
#include "ops/rms_norm.h"

namespace precis {
namespace PRECIS_ISA {

extern const CpuKernels kernels = {
    .convert = convert_cpu,
    .rms_norm = rms_norm_cpu,
};

}  // namespace PRECIS_ISA
}  // namespace precis
