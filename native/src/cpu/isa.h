// Instruction sets. A file src/ops/<op>_cpu.cc is compiled once for each, into the namespace
// precis::PRECIS_ISA, so that one library holds them all and picks at run time.
//
// Such a file must not instantiate templates or inline functions of the standard library with
// external linkage: the linker keeps one copy of those, perhaps the one with AVX-512 in it.
#ifndef PRECIS_CPU_ISA_H_
#define PRECIS_CPU_ISA_H_

namespace precis {

struct CpuKernels;

struct IsaChoice {
  const char* name;
  const CpuKernels* kernels;
};

// The best instruction set that the processor offers or, with a name, that one. Throws Error when
// the processor or the build lacks it.
IsaChoice choose_isa(const char* name);

// Returns the processor's features, separated by spaces, as "avx2 fma avx512f" or "neon dotprod".
const char* cpu_features();

// Returns whether the processor multiplies bfloat16 tiles (Intel AMX).
bool has_amx_bf16();

}  // namespace precis

#endif  // PRECIS_CPU_ISA_H_
