#include "cpu/isa.h"

#include <cstring>
#include <string>

#include "cpu/kernels.h"
#include "error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace precis {

namespace {

#if defined(__x86_64__)
bool cpuid_bit(unsigned leaf, unsigned subleaf, int reg, int bit) {
  unsigned r[4];
  if (!__get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3])) return false;
  return (r[reg] >> bit) & 1;
}
#endif

struct Candidate {
  const char* name;
  const CpuKernels* kernels;
  bool supported;
};

}  // namespace

bool has_amx_bf16() {
#if defined(__x86_64__)
  // CPUID.7.0:EDX 22 is AMX-BF16, 24 AMX-TILE.
  return cpuid_bit(7, 0, 3, 22) && cpuid_bit(7, 0, 3, 24);
#else
  return false;
#endif
}

const char* cpu_features() {
  static const std::string features = [] {
    std::string s;
    auto add = [&](bool has, const char* name) {
      if (has) s += (s.empty() ? "" : " ") + std::string(name);
    };
#if defined(__x86_64__)
    __builtin_cpu_init();
    add(__builtin_cpu_supports("avx2"), "avx2");
    add(__builtin_cpu_supports("fma"), "fma");
    add(__builtin_cpu_supports("avx512f"), "avx512f");
    add(__builtin_cpu_supports("avx512bw"), "avx512bw");
    add(__builtin_cpu_supports("avx512dq"), "avx512dq");
    add(__builtin_cpu_supports("avx512vl"), "avx512vl");
    add(__builtin_cpu_supports("avx512vnni"), "avx512_vnni");
    add(__builtin_cpu_supports("avx512bf16"), "avx512_bf16");
    add(has_amx_bf16(), "amx_bf16");
    add(cpuid_bit(7, 0, 3, 25), "amx_int8");
#endif
    return s;
  }();
  return features.c_str();
}

IsaChoice choose_isa(const char* name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  const bool avx512_bf16 =
      avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#endif
  // Best first.
  const Candidate candidates[] = {
#ifdef PRECIS_HAVE_avx512_bf16
      {"avx512_bf16", &precis::avx512_bf16::kernels, avx512_bf16},
#endif
#ifdef PRECIS_HAVE_avx512
      {"avx512", &precis::avx512::kernels, avx512},
#endif
#ifdef PRECIS_HAVE_avx2
      {"avx2", &precis::avx2::kernels, avx2},
#endif
      {"portable", &portable::kernels, true},
  };
  std::string known;
  for (const Candidate& c : candidates) {
    if (name == nullptr ? c.supported : std::strcmp(name, c.name) == 0) {
      if (!c.supported) {
        fail(PRECIS_UNSUPPORTED, "isa: this processor has no %s, it offers: %s", name,
             cpu_features());
      }
      return {c.name, c.kernels};
    }
    known += (known.empty() ? "" : ", ") + std::string(c.name);
  }
  fail(PRECIS_INVALID_ARGUMENT, "isa: '%s' is not one of %s", name, known.c_str());
}

}  // namespace precis
