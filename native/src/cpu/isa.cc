#include "cpu/isa.h"

#include <cstring>
#include <string>

#include "cpu/kernels.h"
#include "error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace precis {

namespace {

#if defined(__x86_64__)
bool cpuid_bit(unsigned leaf, unsigned subleaf, int reg, int bit) {
  unsigned r[4];
  if (!__get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3])) return false;
  return (r[reg] >> bit) & 1;
}
#elif defined(__aarch64__)
// The extensions that the kernels need. ARMv8.0 has NEON.
struct ArmFeatures {
  bool v8_2 = false;     // of ARMv8.1 and 8.2, what compilers emit unasked: CRC32, LSE, RDM
  bool dotprod = false;  // SDOT
  bool bf16 = false;     // BFDOT, BFCVTN
  bool i8mm = false;     // SMMLA
};
ArmFeatures arm_features() {
  ArmFeatures f;
#if defined(__linux__)
  // asm/hwcap.h of an old system may lack the names; the bits are those of the kernel's interface.
  const unsigned long caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2);
  const unsigned long v8_2 = 1ul << 7 | 1ul << 8 | 1ul << 12;  // crc32, atomics, asimdrdm
  f.v8_2 = (caps & v8_2) == v8_2;
  f.dotprod = (caps >> 20 & 1) != 0;
  f.i8mm = (caps2 >> 13 & 1) != 0;
  f.bf16 = (caps2 >> 14 & 1) != 0;
#elif defined(__APPLE__)
  const auto has = [](const char* name) {
    int value = 0;
    size_t bytes = sizeof value;
    return sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 && value != 0;
  };
  f.v8_2 = has("hw.optional.armv8_1_atomics") && has("hw.optional.armv8_crc32");
  f.dotprod = has("hw.optional.arm.FEAT_DotProd");
  f.bf16 = has("hw.optional.arm.FEAT_BF16");
  f.i8mm = has("hw.optional.arm.FEAT_I8MM");
#endif
  return f;
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
#elif defined(__aarch64__)
    const ArmFeatures has = arm_features();
    add(true, "neon");
    add(has.dotprod, "dotprod");
    add(has.bf16, "bf16");
    add(has.i8mm, "i8mm");
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
#elif defined(__aarch64__)
  const ArmFeatures has = arm_features();
  [[maybe_unused]] const bool neon_dotprod = has.v8_2 && has.dotprod;
  [[maybe_unused]] const bool neon_bf16 = neon_dotprod && has.bf16 && has.i8mm;
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
#ifdef PRECIS_HAVE_neon_bf16
      {"neon_bf16", &precis::neon_bf16::kernels, neon_bf16},
#endif
#ifdef PRECIS_HAVE_neon_dotprod
      {"neon_dotprod", &precis::neon_dotprod::kernels, neon_dotprod},
#endif
#ifdef PRECIS_HAVE_neon
      {"neon", &precis::neon::kernels, true},
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
