// Compares products by cuBLASLt with matmul_ref: on a GPU with the real library, under emulation with
// a shared library of the same interface (fake_cublaslt.h), which also records its calls.

#include "cublaslt.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>

#include "device_products.h"
#include "fake_cublaslt.h"

using namespace precis;

namespace {

constexpr const char* kVariable = "PRECIS_CUBLASLT";

// The gap between rows that aligns the next row to 16 bytes.
int64_t gap_of(int64_t columns, int32_t dtype) {
  const int64_t multiple = dtype == PRECIS_BFLOAT16 ? 8 : 4;
  return multiple + (multiple - columns % multiple) % multiple;
}

struct Case {
  int64_t m, n, k;
  int32_t w_type, x_type, y_type;
  int32_t accumulate;
};

// fake is nullptr for the real library. by_library: cuBLASLt is expected to compute the product.
void same_as_reference(TestDevice& device, const Case& c, bool aligned, bool by_library,
                       FakeCublasLt* fake, Random& random) {
  Weights weights(random, {c.n}, c.k, c.w_type, PRECIS_FLOAT32);
  const DeviceWeights packed(device, weights);
  const int64_t x_gap = gap_of(c.k, c.x_type), y_gap = gap_of(c.n, c.y_type);
  GuardedTensor x(c.x_type, {c.m, c.k}, x_gap + !aligned);
  GuardedTensor y(c.y_type, {c.m, c.n}, y_gap), want(c.y_type, {c.m, c.n});
  x.fill_normal(random);
  y.fill(0.75f);
  want.fill(0.75f);
  OnDevice x_(x), y_(y);
  const float alpha = c.m % 2 ? 1.0f : -0.5f;
  precis_matmul_args args = {x_, packed, y_, alpha, c.accumulate, 0, 0};
  const int before = fake == nullptr ? 0 : fake->products;
  bool done = !by_library;
  EXPECT_RUN(device, device.context().cublaslt->multiply(device.context(), args, &done));
  EXPECT(done == by_library, "%s m %lld n %lld k %lld", device.name(), static_cast<long long>(c.m),
         static_cast<long long>(c.n), static_cast<long long>(c.k));
  y_.upload();
  EXPECT_RUN(device, matmul_cuda(device.context(), args));  // by cuBLASLt or our own kernel
  y_.download();
  matmul_ref({x, packed, want, alpha, c.accumulate, 0, 0}, weights.args());
  expect_close(y, want, rounding(c.y_type), sum_error(c.k), device.name());

  // A row is bitwise identical to the same row alone.
  GuardedTensor one(c.y_type, {1, c.n}, y_gap);
  for (int64_t m : {int64_t{0}, c.m / 2, c.m - 1}) {
    one.fill(0.75f);
    OnDevice one_(one);
    args.y = one_;
    args.x = x_;
    args.x.data = static_cast<char*>(args.x.data) +
                  m * (c.k + x_gap + !aligned) * (c.x_type == PRECIS_BFLOAT16 ? 2 : 4);
    args.x.dims[0] = 1;
    EXPECT_RUN(device, matmul_cuda(device.context(), args));
    one_.download();
    const int64_t differs = first_difference(y, m, one, 0);
    EXPECT(differs < 0, "%s: row %lld of %lld differs at %lld", device.name(),
           static_cast<long long>(m), static_cast<long long>(c.m), static_cast<long long>(differs));
  }
  if (fake == nullptr) return;
  EXPECT(fake->products - before == (by_library ? 5 : 0));
  if (!by_library) return;
  const int x_bytes = c.x_type == PRECIS_BFLOAT16 ? 14 : 0,
            y_bytes = c.y_type == PRECIS_BFLOAT16 ? 14 : 0;
  EXPECT(fake->rows == static_cast<uint64_t>(c.n) && fake->columns == 1 &&
         fake->depth == static_cast<uint64_t>(c.k));
  EXPECT(fake->strides[0] == cuda_packed_layout(c.n, c.k, c.w_type).stride &&
         fake->strides[1] == c.k + x_gap && fake->strides[2] == c.n + y_gap);
  EXPECT(fake->types[0] == x_bytes && fake->types[1] == x_bytes && fake->types[2] == y_bytes);
  EXPECT(fake->alpha == alpha && fake->beta == (c.accumulate ? 1 : 0));
  EXPECT(fake->workspace_bytes == CublasLt::kWorkspaceBytes &&
         fake->stream == device.context().stream);
}

void products(TestDevice& device, FakeCublasLt* fake) {
  Random random(31);
  std::vector<std::string> keys;
  for (int64_t m : {1, 7, 64, 130}) {
    for (int64_t n : {8, 65, 200}) {
      for (int64_t k : {1, 16, 99, 264}) {
        for (int variant = 0; variant < 6; variant++) {
          // The fake is slow, and so is our own kernel under emulation.
          if (fake != nullptr && m * n * k > 500000 && variant % 3 != m % 3) continue;
          const bool bf16 = variant < 4;
          const Case c = {m,
                          n,
                          k,
                          bf16 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32,
                          bf16 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32,
                          variant < 2 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32,
                          variant == 3 || variant == 5};
          if (variant == 1) continue;  // accumulating needs a float32 y
          same_as_reference(device, c, true, true, fake, random);
          const std::string key =
              std::to_string(n) + " " + std::to_string(k) + " " + std::to_string(variant);
          if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
        }
      }
    }
  }
  if (fake != nullptr) {
    EXPECT(fake->choices == static_cast<int>(keys.size()), "%d for %zu", fake->choices,
           keys.size());
    EXPECT(fake->choice_columns == CublasLt::kTypicalRows &&
           fake->max_workspace == CublasLt::kWorkspaceBytes && fake->reduction_schemes == 0);
    for (uint32_t alignment : fake->alignments) EXPECT(alignment == 16);
  }
  // Our own kernel computes products of other types and of misaligned rows.
  const int32_t f = PRECIS_FLOAT32, b = PRECIS_BFLOAT16;
  same_as_reference(device, {20, 72, 40, b, f, b, 0}, true, false, fake, random);
  same_as_reference(device, {20, 72, 40, b, f, f, 1}, true, false, fake, random);
  same_as_reference(device, {20, 72, 40, f, b, f, 0}, true, false, fake, random);
  same_as_reference(device, {20, 72, 40, f, f, b, 0}, true, false, fake, random);
  same_as_reference(device, {20, 72, 40, b, b, b, 0}, false, false, fake, random);
  same_as_reference(device, {20, 72, 40, f, f, f, 1}, false, false, fake, random);
  if (fake == nullptr) return;
  fake->refuse_choice = 1;
  same_as_reference(device, {20, 73, 40, b, b, b, 0}, true, false, fake, random);
  fake->refuse_choice = 0;
  const int choices = fake->choices;
  same_as_reference(device, {20, 73, 40, b, b, b, 0}, true, false, fake, random);
  EXPECT(fake->choices == choices, "the algorithm was chosen again");
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// The messages where cuBLASLt cannot be loaded, and every way to find it.
void loading(const std::string& library, FakeCublasLt* fake) {
  std::string why;
  EXPECT(CublasLt::find(&why) == nullptr && why == "the emulator has no cuBLASLt");

  setenv(kVariable, "/nowhere/libcublasLt.so.13", 1);
  EXPECT(CublasLt::search(&why) == nullptr);
  EXPECT(why.find("PRECIS_CUBLASLT does not lead to cuBLASLt: /nowhere/") == 0, "%s", why.c_str());

  setenv(kVariable, "libm.so.6", 1);
  EXPECT(CublasLt::search(&why) == nullptr);
  EXPECT(why == "libm.so.6 is not cuBLASLt 12 or 13: it has no cublasLtCreate", "%s", why.c_str());

  setenv(kVariable, library.c_str(), 1);
  fake->refuse_start = 1;
  EXPECT(CublasLt::search(&why) == nullptr);
  EXPECT(
      why == "cuBLASLt 13.4.2 at " + library + " does not start on this GPU: the status's sentence",
      "%s", why.c_str());
  fake->refuse_start = 0;
  std::unique_ptr<CublasLt> found = CublasLt::search(&why);
  EXPECT(found != nullptr && found->version() == std::string("13.4.2") && found->path() == library);

  char folder[] = "/tmp/precis-cublaslt-XXXXXX";
  EXPECT(mkdtemp(folder) != nullptr);
  const std::string link = std::string(folder) + "/libcublasLt.so.12";
  setenv(kVariable, folder, 1);
  EXPECT(CublasLt::search(&why) == nullptr);
  EXPECT(why.find(std::string("PRECIS_CUBLASLT does not lead to cuBLASLt: ") + folder) == 0, "%s",
         why.c_str());
  EXPECT(symlink(library.c_str(), link.c_str()) == 0);
  found = CublasLt::search(&why);
  EXPECT(found != nullptr, "%s", why.c_str());
  unlink(link.c_str());
  rmdir(folder);

  // Next to the library that contains the kernels; here, next to this program.
  unsetenv(kVariable);
  char program[4096] = "";
  EXPECT(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
  const std::string beside = folder_of(program) + "/libcublasLt.so.12";
  if (dlopen("libcublasLt.so.13", RTLD_LAZY) == nullptr &&
      dlopen("libcublasLt.so.12", RTLD_LAZY) == nullptr) {
    unlink(beside.c_str());
    EXPECT(CublasLt::search(&why) == nullptr);
    EXPECT(why.find("set PRECIS_CUBLASLT to the file") != std::string::npos, "%s", why.c_str());
    EXPECT(symlink(library.c_str(), beside.c_str()) == 0);
    found = CublasLt::search(&why);
    EXPECT(found != nullptr, "%s", why.c_str());
    unlink(beside.c_str());
  } else {
    std::printf("SKIPPED: cuBLASLt next to libprecis: the loader finds another one first\n");
  }
  found = nullptr;
  EXPECT(fake->alive == 0, "%d left", fake->alive);
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  std::string why;
  FakeCublasLt* fake = nullptr;
  if (std::string(device.name()).starts_with("emulated")) {
    const std::string library = PRECIS_FAKE_CUBLASLT;
    void* handle = dlopen(library.c_str(), RTLD_NOW);
    auto* state = handle == nullptr
                      ? nullptr
                      : reinterpret_cast<decltype(&fake_cublaslt)>(dlsym(handle, "fake_cublaslt"));
    EXPECT(state != nullptr, "%s", library.c_str());
    if (state == nullptr) return test_result();
    fake = state();
    fake->submit = [](void* stream, void (*work)(void*), void* argument) {
      return static_cast<int>(
          cudaLaunchHostFunc(static_cast<cudaStream_t>(stream), work, argument));
    };
    loading(library, fake);
    setenv(kVariable, library.c_str(), 1);
  }
  std::unique_ptr<CublasLt> library =
      fake == nullptr ? CublasLt::find(&why) : CublasLt::search(&why);
  if (library == nullptr) {
    std::printf("SKIPPED: %s\n", why.c_str());
    return fake == nullptr ? kSkipped : 1;
  }
  std::printf("cuBLASLt %s at %s\n", library->version(), library->path());
  device.context().cublaslt = library.get();
  products(device, fake);
  library = nullptr;
  if (fake != nullptr) EXPECT(fake->alive == 0, "%d left", fake->alive);
  return test_result();
}
