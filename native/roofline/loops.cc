// Compiled once for each instruction set, with PRECIS_ROOFLINE_SET naming it. A set has the loops
// that no smaller set has.
#include "loops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define REGISTER "+v"
#elif defined(__aarch64__)
#include <arm_neon.h>
#define REGISTER "+w"
#else
#define REGISTER "+m"
#endif

#if defined(__AMX_TILE__)
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#define PRECIS_ROOFLINE_TEXT_(x) #x
#define PRECIS_ROOFLINE_TEXT(x) PRECIS_ROOFLINE_TEXT_(x)
#define SET PRECIS_ROOFLINE_TEXT(PRECIS_ROOFLINE_SET)

namespace precis_roofline {
namespace PRECIS_ROOFLINE_SET {
namespace {

// Independent sums: enough to hide a latency of 4 cycles at 2 instructions a cycle.
constexpr int kChains = 12;

// Runs step(sum, operand) on twelve sums and adds up what lanes(sum) returns. The sums are variables
// of their own, because the compiler leaves an array in memory. Neither they nor the operand are
// known after a step, so that nothing is removed, merged with its neighbors or moved out of the loop.
template <class Vector, class Step, class Lanes>
inline double chains(int64_t steps, Vector ones, Step step, Lanes lanes) {
  Vector s0{}, s1{}, s2{}, s3{}, s4{}, s5{}, s6{}, s7{}, s8{}, s9{}, s10{}, s11{};
  for (int64_t i = 0; i < steps; i++) {
#define PRECIS_ROOFLINE_STEP(sum)    \
  asm volatile("" : REGISTER(ones)); \
  sum = step(sum, ones);             \
  asm volatile("" : REGISTER(sum));
    PRECIS_ROOFLINE_STEP(s0)
    PRECIS_ROOFLINE_STEP(s1)
    PRECIS_ROOFLINE_STEP(s2)
    PRECIS_ROOFLINE_STEP(s3)
    PRECIS_ROOFLINE_STEP(s4)
    PRECIS_ROOFLINE_STEP(s5)
    PRECIS_ROOFLINE_STEP(s6)
    PRECIS_ROOFLINE_STEP(s7)
    PRECIS_ROOFLINE_STEP(s8)
    PRECIS_ROOFLINE_STEP(s9)
    PRECIS_ROOFLINE_STEP(s10)
    PRECIS_ROOFLINE_STEP(s11)
#undef PRECIS_ROOFLINE_STEP
  }
  return lanes(s0) + lanes(s1) + lanes(s2) + lanes(s3) + lanes(s4) + lanes(s5) + lanes(s6) +
         lanes(s7) + lanes(s8) + lanes(s9) + lanes(s10) + lanes(s11);
}

// The sum of a vector's lanes of type T. Inlined, it would leave the vector in memory on ARM.
template <class T, class Vector>
__attribute__((noinline)) double lanes_of(Vector vector) {
  T values[sizeof vector / sizeof(T)];
  __builtin_memcpy(values, &vector, sizeof vector);
  double total = 0;
  for (const T& value : values) total += static_cast<double>(value);
  return total;
}

// 1 in bfloat16, twice, and in bytes, four times.
constexpr int32_t kBfloat16Ones = 0x3f803f80;
constexpr int32_t kByteOnes = 0x01010101;
constexpr int32_t kShortOnes = 0x00010001;

#if defined(PRECIS_ROOFLINE_AMX)
// ------------------------------------------------------------------ tiles of 16 rows of 64 bytes

struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes_per_row[16] = {};
  uint8_t rows[16] = {};
};

// The tiles 0 to 5 are sums, 6 and 7 operands.
void configure_tiles(const void* ones) {
  TileShapes shapes;
  for (int i = 0; i < 8; i++) {
    shapes.bytes_per_row[i] = 64;
    shapes.rows[i] = 16;
  }
  _tile_loadconfig(&shapes);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_loadd(6, ones, 64);
  _tile_loadd(7, ones, 64);
}

template <class T>
double sum_tiles() {
  alignas(64) T values[6][16 * 16];
  _tile_stored(0, values[0], 64);
  _tile_stored(1, values[1], 64);
  _tile_stored(2, values[2], 64);
  _tile_stored(3, values[3], 64);
  _tile_stored(4, values[4], 64);
  _tile_stored(5, values[5], 64);
  _tile_release();
  double total = 0;
  for (const auto& tile : values) {
    for (const T& value : tile) total += static_cast<double>(value);
  }
  return total;
}

void fill(int32_t* words, int32_t value) {
  for (int i = 0; i < 16 * 16; i++) words[i] = value;
}

#define PRECIS_ROOFLINE_TILES(name, instruction, type, ones) \
  double name(int64_t steps) {                               \
    alignas(64) int32_t words[16 * 16];                      \
    fill(words, ones);                                       \
    configure_tiles(words);                                  \
    for (int64_t i = 0; i < steps; i++) {                    \
      instruction(0, 6, 7);                                  \
      instruction(1, 6, 7);                                  \
      instruction(2, 6, 7);                                  \
      instruction(3, 6, 7);                                  \
      instruction(4, 6, 7);                                  \
      instruction(5, 6, 7);                                  \
    }                                                        \
    return sum_tiles<type>();                                \
  }
#if defined(__AMX_BF16__)
PRECIS_ROOFLINE_TILES(tiles, _tile_dpbf16ps, float, kBfloat16Ones)
// A tile has 16 x 16 sums of 32 products.
constexpr Loop kLoops[] = {
    {"bfloat16," SET ",tdpbf16ps", 6 * 2 * 16 * 16 * 32, tiles, nullptr, false}};
#else
PRECIS_ROOFLINE_TILES(tiles, _tile_dpbssd, int32_t, kByteOnes)
constexpr Loop kLoops[] = {{"int8," SET ",tdpbssd", 6 * 2 * 16 * 16 * 64, tiles, nullptr, false}};
#endif

#else
// ------------------------------------------------------------------ vectors

#if defined(PRECIS_ROOFLINE_BASE)
// The bandwidth is that of the widest vectors; a set says so by defining this.
using Words = int64_t __attribute__((vector_size(PRECIS_ROOFLINE_BASE)));
using Floats = float __attribute__((vector_size(PRECIS_ROOFLINE_BASE)));

void read_all(void* array, int64_t bytes) {
  const Words* from = static_cast<const Words*>(array);
  const int64_t n = bytes / static_cast<int64_t>(sizeof(Words));
  Words sums[8] = {};
  for (int64_t i = 0; i < n; i += 8) {
    for (int k = 0; k < 8; k++) sums[k] ^= from[i + k];
  }
  for (Words& sum : sums) asm volatile("" : REGISTER(sum));
}

void update_all(void* array, int64_t bytes) {
  Words* values = static_cast<Words*>(array);
  const int64_t n = bytes / static_cast<int64_t>(sizeof(Words));
  for (int64_t i = 0; i < n; i++) values[i] = ~values[i];
  asm volatile("" ::: "memory");
}

double fma_loop(int64_t steps) {
  return chains(
      steps, Floats{} + 1.0f, [](Floats sum, Floats a) { return a * a + sum; },
      lanes_of<float, Floats>);
}
#endif

#if defined(PRECIS_ROOFLINE_BASE) && PRECIS_ROOFLINE_BASE == 32 && defined(__AVX2__)
// Without an instruction for it, a pair of bfloat16 becomes two vectors of float32.
double bfloat16_loop(int64_t steps) {
  return chains(
      steps, _mm256_set1_epi32(kBfloat16Ones),
      [](__m256i sums, __m256i a) {
        const __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(a, 16));
        const __m256 odd = _mm256_castsi256_ps(
            _mm256_and_si256(a, _mm256_set1_epi32(static_cast<int32_t>(0xffff0000))));
        __m256 sum = _mm256_fmadd_ps(even, even, _mm256_castsi256_ps(sums));
        sum = _mm256_fmadd_ps(odd, odd, sum);
        return _mm256_castps_si256(sum);
      },
      lanes_of<float, __m256i>);
}
// 16 products of shorts, as exact sums of bytes need them.
double madd_loop(int64_t steps) {
  return chains(
      steps, _mm256_set1_epi32(kShortOnes),
      [](__m256i sum, __m256i a) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, a)); },
      lanes_of<int32_t, __m256i>);
}
// 32 products of bytes; sums of two saturate at 16 bits.
double maddubs_loop(int64_t steps) {
  const __m256i shorts = _mm256_set1_epi32(kShortOnes);
  return chains(
      steps, _mm256_set1_epi32(kByteOnes),
      [shorts](__m256i sum, __m256i a) {
        const __m256i pairs = _mm256_maddubs_epi16(a, a);
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, shorts));
      },
      lanes_of<int32_t, __m256i>);
}
constexpr Loop kLoops[] = {
    {"read," SET ",256 bits", 0, nullptr, read_all, false},
    {"update," SET ",256 bits", 0, nullptr, update_all, true},
    {"float32," SET ",vfmadd", kChains * 2 * 8, fma_loop, nullptr, false},
    {"bfloat16," SET ",vpslld+vpand+2 vfmadd", kChains * 2 * 16, bfloat16_loop, nullptr, false},
    {"int8," SET ",vpmaddwd+vpaddd", kChains * 2 * 16, madd_loop, nullptr, false},
    {"int8," SET ",vpmaddubsw+vpmaddwd+vpaddd", kChains * 2 * 32, maddubs_loop, nullptr, false}};

#elif defined(PRECIS_ROOFLINE_BASE) && PRECIS_ROOFLINE_BASE == 64
double madd_loop(int64_t steps) {
  return chains(
      steps, _mm512_set1_epi32(kShortOnes),
      [](__m512i sum, __m512i a) { return _mm512_add_epi32(sum, _mm512_madd_epi16(a, a)); },
      lanes_of<int32_t, __m512i>);
}
double maddubs_loop(int64_t steps) {
  const __m512i shorts = _mm512_set1_epi32(kShortOnes);
  return chains(
      steps, _mm512_set1_epi32(kByteOnes),
      [shorts](__m512i sum, __m512i a) {
        const __m512i pairs = _mm512_maddubs_epi16(a, a);
        return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, shorts));
      },
      lanes_of<int32_t, __m512i>);
}
constexpr Loop kLoops[] = {
    {"read," SET ",512 bits", 0, nullptr, read_all, false},
    {"update," SET ",512 bits", 0, nullptr, update_all, true},
    {"float32," SET ",vfmadd", kChains * 2 * 16, fma_loop, nullptr, false},
    {"int8," SET ",vpmaddwd+vpaddd", kChains * 2 * 32, madd_loop, nullptr, false},
    {"int8," SET ",vpmaddubsw+vpmaddwd+vpaddd", kChains * 2 * 64, maddubs_loop, nullptr, false}};

#elif defined(PRECIS_ROOFLINE_BASE)
constexpr Loop kLoops[] = {{"read," SET ",128 bits", 0, nullptr, read_all, false},
                           {"update," SET ",128 bits", 0, nullptr, update_all, true},
#if defined(__aarch64__)
                           {"float32," SET ",fmla", kChains * 2 * 4, fma_loop, nullptr, false}};
#else
                           {"float32," SET ",multiply and add", kChains * 2 * 4, fma_loop, nullptr,
                            false}};
#endif

#elif defined(__AVX512BF16__)
double dot_loop(int64_t steps) {
  return chains(
      steps, _mm512_castsi512_ps(_mm512_set1_epi32(kBfloat16Ones)),
      [](__m512 sum, __m512 a) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)a); },
      lanes_of<float, __m512>);
}
constexpr Loop kLoops[] = {
    {"bfloat16," SET ",vdpbf16ps", kChains * 2 * 32, dot_loop, nullptr, false}};

#elif defined(__AVX512VNNI__)
double dot_loop(int64_t steps) {
  return chains(
      steps, _mm512_set1_epi32(kByteOnes),
      [](__m512i sum, __m512i a) { return _mm512_dpbusd_epi32(sum, a, a); },
      lanes_of<int32_t, __m512i>);
}
constexpr Loop kLoops[] = {{"int8," SET ",vpdpbusd", kChains * 2 * 64, dot_loop, nullptr, false}};

#elif defined(__AVXVNNI__)
double dot_loop(int64_t steps) {
  return chains(
      steps, _mm256_set1_epi32(kByteOnes),
      [](__m256i sum, __m256i a) { return _mm256_dpbusd_avx_epi32(sum, a, a); },
      lanes_of<int32_t, __m256i>);
}
constexpr Loop kLoops[] = {{"int8," SET ",vpdpbusd", kChains * 2 * 32, dot_loop, nullptr, false}};

#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
double dot_loop(int64_t steps) {
  return chains(
      steps, vreinterpretq_f32_s32(vdupq_n_s32(kBfloat16Ones)),
      [](float32x4_t sum, float32x4_t a) {
        const bfloat16x8_t pairs = vreinterpretq_bf16_f32(a);
        return vbfdotq_f32(sum, pairs, pairs);
      },
      lanes_of<float, float32x4_t>);
}
double bfloat16_tile_loop(int64_t steps) {
  return chains(
      steps, vreinterpretq_f32_s32(vdupq_n_s32(kBfloat16Ones)),
      [](float32x4_t sum, float32x4_t a) {
        const bfloat16x8_t rows = vreinterpretq_bf16_f32(a);
        return vbfmmlaq_f32(sum, rows, rows);
      },
      lanes_of<float, float32x4_t>);
}
double int8_tile_loop(int64_t steps) {
  return chains(
      steps, vdupq_n_s32(kByteOnes),
      [](int32x4_t sum, int32x4_t a) {
        const int8x16_t rows = vreinterpretq_s8_s32(a);
        return vmmlaq_s32(sum, rows, rows);
      },
      lanes_of<int32_t, int32x4_t>);
}
constexpr Loop kLoops[] = {
    {"bfloat16," SET ",bfdot", kChains * 2 * 8, dot_loop, nullptr, false},
    {"bfloat16," SET ",bfmmla", kChains * 2 * 16, bfloat16_tile_loop, nullptr, false},
    {"int8," SET ",smmla", kChains * 2 * 32, int8_tile_loop, nullptr, false}};

#elif defined(__ARM_FEATURE_DOTPROD)
double dot_loop(int64_t steps) {
  return chains(
      steps, vdupq_n_s32(kByteOnes),
      [](int32x4_t sum, int32x4_t a) {
        const int8x16_t bytes = vreinterpretq_s8_s32(a);
        return vdotq_s32(sum, bytes, bytes);
      },
      lanes_of<int32_t, int32x4_t>);
}
constexpr Loop kLoops[] = {{"int8," SET ",sdot", kChains * 2 * 16, dot_loop, nullptr, false}};
#endif
#endif

}  // namespace

extern const Loops loops;
const Loops loops = {kLoops, sizeof kLoops / sizeof *kLoops};

#if defined(PRECIS_ROOFLINE_AMX)
// Asks the system for the tiles' registers, which a process must do before it uses them.
bool may_use_tiles();
bool may_use_tiles() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

}  // namespace PRECIS_ROOFLINE_SET
}  // namespace precis_roofline
