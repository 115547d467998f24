// y = alpha x W' (+ y) by cuBLASLt, which is column-major. A row-major matrix is its transpose
// there, so y' (N, M) = W (N, K) x' (K, M), where memory holds W' and cuBLASLt transposes it.
//
// The declarations are cuBLASLt's documented binary interface, which versions 12 and 13 share.
#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdlib>
#include <type_traits>
#include <utility>
#include <vector>

#include "cublaslt.h"
#include "kernels.h"

namespace precis {
namespace {

// ------------------------------------------------------------------ the library's interface

using Handle = void*;
using Descriptor = void*;  // of a product, a matrix or a preference

struct Algorithm {
  uint64_t data[8];
};
struct Choice {
  Algorithm algorithm;
  size_t workspace_bytes;
  int state;  // a status
  float waves;
  int reserved[4];
};

constexpr int kSuccess = 0;
constexpr int kReal32 = 0, kReal16Brain = 14;            // cudaDataType_t
constexpr int kCompute32 = 68;                           // CUBLAS_COMPUTE_32F, which is not TF32
constexpr int kTransposed = 1;                           // cublasOperation_t
constexpr int kTransA = 3;                               // attribute of a product
constexpr int kColumns = 3, kStride = 4;                 // attributes of a matrix
constexpr int kMaxWorkspace = 1, kReductionSchemes = 3;  // attributes of a preference
constexpr int kAlignments[] = {5, 6, 7, 8};
constexpr int kSplitK = 2;          // attribute of an algorithm
constexpr int64_t kAlignment = 16;  // of every row and matrix, in bytes

struct Library {
  int (*create)(Handle*);
  int (*destroy)(Handle);
  const char* (*status_string)(int);
  int (*property)(int which, int* value);
  int (*product_create)(Descriptor*, int compute_type, int scale_type);
  int (*product_set)(Descriptor, int attribute, const void* value, size_t bytes);
  int (*product_destroy)(Descriptor);
  int (*matrix_create)(Descriptor*, int type, uint64_t rows, uint64_t columns, int64_t stride);
  int (*matrix_set)(Descriptor, int attribute, const void* value, size_t bytes);
  int (*matrix_destroy)(Descriptor);
  int (*preference_create)(Descriptor*);
  int (*preference_set)(Descriptor, int attribute, const void* value, size_t bytes);
  int (*preference_destroy)(Descriptor);
  int (*choose)(Handle, Descriptor product, Descriptor a, Descriptor b, Descriptor c, Descriptor d,
                Descriptor preference, int wanted, Choice* choices, int* count);
  int (*algorithm_get)(const Algorithm*, int attribute, void* value, size_t bytes, size_t* written);
  int (*multiply)(Handle, Descriptor product, const void* alpha, const void* a, Descriptor a_matrix,
                  const void* b, Descriptor b_matrix, const void* beta, const void* c,
                  Descriptor c_matrix, void* d, Descriptor d_matrix, const Algorithm*,
                  void* workspace, size_t workspace_bytes, cudaStream_t stream);
};

// Looks up all symbols; returns the first missing one, or nullptr.
const char* bind(void* library, Library* l) {
  const char* missing = nullptr;
  auto symbol = [&](const char* name, auto* function) {
    *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(dlsym(library, name));
    if (*function == nullptr && missing == nullptr) missing = name;
  };
  symbol("cublasLtCreate", &l->create);
  symbol("cublasLtDestroy", &l->destroy);
  symbol("cublasLtGetStatusString", &l->status_string);
  symbol("cublasLtGetProperty", &l->property);
  symbol("cublasLtMatmulDescCreate", &l->product_create);
  symbol("cublasLtMatmulDescSetAttribute", &l->product_set);
  symbol("cublasLtMatmulDescDestroy", &l->product_destroy);
  symbol("cublasLtMatrixLayoutCreate", &l->matrix_create);
  symbol("cublasLtMatrixLayoutSetAttribute", &l->matrix_set);
  symbol("cublasLtMatrixLayoutDestroy", &l->matrix_destroy);
  symbol("cublasLtMatmulPreferenceCreate", &l->preference_create);
  symbol("cublasLtMatmulPreferenceSetAttribute", &l->preference_set);
  symbol("cublasLtMatmulPreferenceDestroy", &l->preference_destroy);
  symbol("cublasLtMatmulAlgoGetHeuristic", &l->choose);
  symbol("cublasLtMatmulAlgoConfigGetAttribute", &l->algorithm_get);
  symbol("cublasLtMatmul", &l->multiply);
  return missing;
}

template <class T>
bool set(int (*setter)(Descriptor, int, const void*, size_t), Descriptor descriptor, int attribute,
         T value) {
  return setter(descriptor, attribute, &value, sizeof value) == kSuccess;
}

// ------------------------------------------------------------------ loading

constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};

bool is_folder(const std::string& path) {
  struct stat s;
  return stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
}

std::string folder_of(const void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// A loaded library is never unloaded, because its threads and static data would not survive that.
void* open_library(std::string* name, std::string* why) {
  std::vector<std::string> files;
  const char* named = std::getenv("PRECIS_CUBLASLT");
  if (named != nullptr && *named != 0) {
    files = {named};
    if (is_folder(named)) {
      files.clear();
      for (const char* name : kNames) files.push_back(std::string(named) + "/" + name);
    }
  } else {
    for (const char* name : kNames) files.push_back(name);
    const std::string own = folder_of(reinterpret_cast<const void*>(&open_library));
    for (const char* name : kNames) files.push_back(own + "/" + name);
  }
  std::string first_error;
  for (const std::string& file : files) {
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    *name = file;
    if (library != nullptr) return library;
    const char* error = dlerror();
    if (first_error.empty() && error != nullptr) first_error = error;
  }
  *why = named != nullptr && *named != 0
             ? "PRECIS_CUBLASLT does not lead to cuBLASLt: " + first_error
             : "there is no libcublasLt.so.13 or .12 on the loader's path or beside libprecis: "
               "set PRECIS_CUBLASLT to the file";
  return nullptr;
}

}  // namespace

// ------------------------------------------------------------------ products

struct CublasLt::State {
  // The part of a product that does not depend on the number of rows.
  struct Product {
    int64_t outputs, inputs;
    int32_t w_type, y_type;
    bool accumulate;

    bool usable = false;
    Descriptor product = nullptr, w = nullptr, x = nullptr, y = nullptr;
    Algorithm algorithm = {};
  };

  ~State() {
    for (Product& p : products) {
      if (p.product != nullptr) library.product_destroy(p.product);
      for (Descriptor matrix : {p.w, p.x, p.y}) {
        if (matrix != nullptr) library.matrix_destroy(matrix);
      }
    }
    if (handle != nullptr) library.destroy(handle);
  }

  const Product& product(const Product& wanted) {
    for (const Product& p : products) {
      if (p.outputs == wanted.outputs && p.inputs == wanted.inputs && p.w_type == wanted.w_type &&
          p.y_type == wanted.y_type && p.accumulate == wanted.accumulate) {
        return p;
      }
    }
    products.push_back(wanted);
    products.back().usable = describe(products.back()) && choose(products.back());
    return products.back();
  }

  static int type_of(int32_t dtype) { return dtype == PRECIS_BFLOAT16 ? kReal16Brain : kReal32; }

  bool describe(Product& p) {
    const CudaPackedLayout packed = cuda_packed_layout(p.outputs, p.inputs, p.w_type);
    // Strides of x and y are set for each call; the algorithm is chosen for rows without gaps.
    auto stride = [](int64_t columns) { return ceil_div(columns, kAlignment) * kAlignment; };
    const auto n = static_cast<uint64_t>(p.outputs), k = static_cast<uint64_t>(p.inputs);
    return library.product_create(&p.product, kCompute32, kReal32) == kSuccess &&
           set(library.product_set, p.product, kTransA, kTransposed) &&
           library.matrix_create(&p.w, type_of(p.w_type), k, n, packed.stride) == kSuccess &&
           library.matrix_create(&p.x, type_of(p.w_type), k, kTypicalRows, stride(p.inputs)) ==
               kSuccess &&
           library.matrix_create(&p.y, type_of(p.y_type), n, kTypicalRows, stride(p.outputs)) ==
               kSuccess;
  }

  bool choose(Product& p) {
    constexpr int kChoices = 16;
    Choice choices[kChoices];
    int count = 0;
    Descriptor preference = nullptr;
    if (library.preference_create(&preference) != kSuccess) return false;
    bool chosen =
        set(library.preference_set, preference, kMaxWorkspace, uint64_t{kWorkspaceBytes}) &&
        set(library.preference_set, preference, kReductionSchemes, uint32_t{0});
    for (int alignment : kAlignments) {
      chosen &= set(library.preference_set, preference, alignment, uint32_t{kAlignment});
    }
    chosen = chosen && library.choose(handle, p.product, p.w, p.x, p.y, p.y, preference, kChoices,
                                      choices, &count) == kSuccess;
    library.preference_destroy(preference);
    for (int i = 0; chosen && i < count; i++) {
      int32_t parts = 0;
      size_t written = 0;
      if (choices[i].state != kSuccess || choices[i].workspace_bytes > kWorkspaceBytes ||
          library.algorithm_get(&choices[i].algorithm, kSplitK, &parts, sizeof parts, &written) !=
              kSuccess ||
          parts > 1) {
        continue;
      }
      p.algorithm = choices[i].algorithm;
      return true;
    }
    return false;
  }

  Library library;
  Handle handle = nullptr;
  std::string version, path;
  std::vector<Product> products;
};

CublasLt::CublasLt(std::unique_ptr<State> state) : state_(std::move(state)) {}
CublasLt::~CublasLt() = default;

const char* CublasLt::version() const { return state_->version.c_str(); }
const char* CublasLt::path() const { return state_->path.c_str(); }

std::unique_ptr<CublasLt> CublasLt::find(std::string* why) {
#if defined(__CUDACC__)
  return search(why);
#else
  *why = "the emulator has no cuBLASLt";
  return nullptr;
#endif
}

std::unique_ptr<CublasLt> CublasLt::search(std::string* why) {
  auto state = std::make_unique<State>();
  void* library = open_library(&state->path, why);
  if (library == nullptr) return nullptr;
  if (const char* missing = bind(library, &state->library); missing != nullptr) {
    *why = state->path + " is not cuBLASLt 12 or 13: it has no " + missing;
    return nullptr;
  }
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(state->library.create), &info) != 0) {
    state->path = info.dli_fname;
  }
  for (int part = 0; part < 3; part++) {
    int value = 0;
    state->library.property(part, &value);
    if (part > 0) state->version += '.';
    state->version += std::to_string(value);
  }
  const int status = state->library.create(&state->handle);
  if (status != kSuccess) {
    state->handle = nullptr;
    *why = "cuBLASLt " + state->version + " at " + state->path +
           " does not start on this GPU: " + state->library.status_string(status);
    return nullptr;
  }
  return std::unique_ptr<CublasLt>(new CublasLt(std::move(state)));
}

cudaError_t CublasLt::multiply(CudaContext& context, const precis_matmul_args& a, bool* done) {
  *done = false;
  const int64_t m = rows(a.x);
  if (m == 0 || a.x.dtype != a.w.dtype ||
      (a.w.dtype == PRECIS_FLOAT32 && a.y.dtype != PRECIS_FLOAT32)) {
    return cudaSuccess;
  }
  auto is_aligned = [](const precis_tensor& t) {
    const int64_t stride = row_stride(t) * (t.dtype == PRECIS_BFLOAT16 ? 2 : 4);
    return reinterpret_cast<uintptr_t>(t.data) % kAlignment == 0 && stride % kAlignment == 0;
  };
  if (!is_aligned(a.x) || !is_aligned(a.y)) return cudaSuccess;
  const State::Product& p =
      state_->product({a.w.outputs, a.w.inputs, a.w.dtype, a.y.dtype, a.accumulate != 0});
  if (!p.usable) return cudaSuccess;
  void* workspace = nullptr;
  PRECIS_RETURN_IF_ERROR(context.scratch.reserve(kWorkspaceBytes, &workspace));
  const Library& l = state_->library;
  if (!set(l.matrix_set, p.x, kColumns, static_cast<uint64_t>(m)) ||
      !set(l.matrix_set, p.y, kColumns, static_cast<uint64_t>(m)) ||
      !set(l.matrix_set, p.x, kStride, row_stride(a.x)) ||
      !set(l.matrix_set, p.y, kStride, row_stride(a.y))) {
    return cudaSuccess;
  }
  const float beta = a.accumulate ? 1.0f : 0.0f;
  launches++;
  context.after_kernel = false;
  *done = l.multiply(state_->handle, p.product, &a.alpha, a.w.data, p.w, a.x.data, p.x, &beta,
                     a.y.data, p.y, a.y.data, p.y, &p.algorithm, workspace, kWorkspaceBytes,
                     context.stream) == kSuccess;
  return cudaSuccess;
}

}  // namespace precis
