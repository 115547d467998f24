#include "fake_cublaslt.h"

#include <cstring>
#include <functional>
#include <memory>

namespace {

FakeCublasLt state;

constexpr int kInvalid = 7, kNotSupported = 15;
constexpr uint64_t kGood = 0x600d, kSplit = 0x5b17;

struct Product {
  int compute_type, scale_type;
  int32_t transposed_a, transposed_b;
};
struct Layout {
  int type;
  uint64_t rows, columns;
  int64_t stride;
};
struct Preference {
  uint64_t workspace;
  uint32_t schemes;
  uint32_t alignments[4];
};
struct Choice {
  uint64_t algorithm[8];
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
};

// Stores a value if its size is that of the attribute.
template <class T>
int store(T* to, const void* from, size_t bytes) {
  if (bytes != sizeof(T)) return kInvalid;
  std::memcpy(to, from, bytes);
  return 0;
}

template <class T>
int destroy(void* p) {
  delete static_cast<T*>(p);
  state.alive--;
  return 0;
}

double load(const void* data, int type, uint64_t i) {
  if (type == 0) return static_cast<const float*>(data)[i];
  const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(data)[i]) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
void store_element(void* data, int type, uint64_t i, double value) {
  const float rounded = static_cast<float>(value);
  if (type == 0) {
    static_cast<float*>(data)[i] = rounded;
    return;
  }
  uint32_t bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  bits += 0x7fffu + (bits >> 16 & 1u);
  static_cast<uint16_t*>(data)[i] = static_cast<uint16_t>(bits >> 16);
}

// Runs work on a stream.
int submit(void* stream, std::function<void()> work) {
  auto call = [](void* function) {
    const std::unique_ptr<std::function<void()>> owned(
        static_cast<std::function<void()>*>(function));
    (*owned)();
  };
  return state.submit(stream, call, new std::function<void()>(std::move(work)));
}

}  // namespace

extern "C" {

FakeCublasLt* fake_cublaslt() { return &state; }

int cublasLtCreate(void** handle) {
  if (state.refuse_start) return 1;
  *handle = new int(0);
  state.alive++;
  return 0;
}
int cublasLtDestroy(void* handle) { return destroy<int>(handle); }
const char* cublasLtGetStatusString(int) { return "the status's sentence"; }
int cublasLtGetProperty(int which, int* value) {
  *value = which == 0 ? 13 : which == 1 ? 4 : 2;
  return 0;
}

int cublasLtMatmulDescCreate(void** p, int compute_type, int scale_type) {
  *p = new Product{compute_type, scale_type, 0, 0};
  state.alive++;
  return 0;
}
int cublasLtMatmulDescSetAttribute(void* p, int attribute, const void* value, size_t bytes) {
  auto* product = static_cast<Product*>(p);
  if (attribute == 3) return store(&product->transposed_a, value, bytes);
  if (attribute == 4) return store(&product->transposed_b, value, bytes);
  return kInvalid;
}
int cublasLtMatmulDescDestroy(void* p) { return destroy<Product>(p); }

int cublasLtMatrixLayoutCreate(void** p, int type, uint64_t rows, uint64_t columns,
                               int64_t stride) {
  if (type != 0 && type != 14) return kInvalid;
  *p = new Layout{type, rows, columns, stride};
  state.alive++;
  return 0;
}
int cublasLtMatrixLayoutSetAttribute(void* p, int attribute, const void* value, size_t bytes) {
  auto* layout = static_cast<Layout*>(p);
  if (attribute == 2) return store(&layout->rows, value, bytes);
  if (attribute == 3) return store(&layout->columns, value, bytes);
  if (attribute == 4) return store(&layout->stride, value, bytes);
  return kInvalid;
}
int cublasLtMatrixLayoutDestroy(void* p) { return destroy<Layout>(p); }

int cublasLtMatmulPreferenceCreate(void** p) {
  *p = new Preference{0, 7, {256, 256, 256, 256}};
  state.alive++;
  return 0;
}
int cublasLtMatmulPreferenceSetAttribute(void* p, int attribute, const void* value, size_t bytes) {
  auto* preference = static_cast<Preference*>(p);
  if (attribute == 1) return store(&preference->workspace, value, bytes);
  if (attribute == 3) return store(&preference->schemes, value, bytes);
  if (attribute >= 5 && attribute <= 8) {
    return store(&preference->alignments[attribute - 5], value, bytes);
  }
  return kInvalid;
}
int cublasLtMatmulPreferenceDestroy(void* p) { return destroy<Preference>(p); }

// Returns an algorithm that failed, one that splits K, and then a usable one.
int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void* d, void* p, int wanted,
                                   Choice* choices, int* count) {
  const auto* preference = static_cast<const Preference*>(p);
  state.choices++;
  state.choice_columns = static_cast<const Layout*>(d)->columns;
  state.max_workspace = preference->workspace;
  state.reduction_schemes = preference->schemes;
  std::memcpy(state.alignments, preference->alignments, sizeof state.alignments);
  *count = 0;
  if (state.refuse_choice) return kNotSupported;
  if (wanted < 3) return kInvalid;
  std::memset(choices, 0, 3 * sizeof *choices);
  choices[0].status = kNotSupported;
  choices[1].algorithm[0] = kSplit;
  choices[2].algorithm[0] = kGood;
  *count = 3;
  return 0;
}
int cublasLtMatmulAlgoConfigGetAttribute(const uint64_t* algorithm, int attribute, void* value,
                                         size_t bytes, size_t* written) {
  if (attribute != 2 || bytes != sizeof(int32_t)) return kInvalid;
  const int32_t parts = algorithm[0] == kSplit ? 4 : 1;
  std::memcpy(value, &parts, sizeof parts);
  *written = sizeof parts;
  return 0;
}

int cublasLtMatmul(void* handle, void* p, const void* alpha, const void* a, void* a_layout,
                   const void* b, void* b_layout, const void* beta, const void* c, void* c_layout,
                   void* d, void* d_layout, const uint64_t* algorithm, void* workspace,
                   size_t workspace_bytes, void* stream) {
  const auto& product = *static_cast<const Product*>(p);
  const auto& la = *static_cast<const Layout*>(a_layout);
  const auto& lb = *static_cast<const Layout*>(b_layout);
  const auto& lc = *static_cast<const Layout*>(c_layout);
  const auto& ld = *static_cast<const Layout*>(d_layout);
  const uint64_t rows = product.transposed_a ? la.columns : la.rows;
  const uint64_t depth = product.transposed_a ? la.rows : la.columns;
  const uint64_t columns = product.transposed_b ? lb.rows : lb.columns;
  if (handle == nullptr || workspace == nullptr || product.compute_type != 68 ||
      product.scale_type != 0 || algorithm[0] != kGood || la.type != lb.type ||
      lc.type != ld.type || depth != (product.transposed_b ? lb.columns : lb.rows) ||
      ld.rows != rows || ld.columns != columns || lc.rows != rows || lc.columns != columns ||
      la.stride < static_cast<int64_t>(la.rows) || lb.stride < static_cast<int64_t>(lb.rows) ||
      lc.stride < static_cast<int64_t>(lc.rows) || ld.stride < static_cast<int64_t>(ld.rows)) {
    return kInvalid;
  }
  state.products++;
  state.rows = rows;
  state.columns = columns;
  state.depth = depth;
  const Layout* layouts[] = {&la, &lb, &ld};
  for (int i = 0; i < 3; i++) {
    state.strides[i] = layouts[i]->stride;
    state.types[i] = layouts[i]->type;
  }
  std::memcpy(&state.alpha, alpha, sizeof state.alpha);
  std::memcpy(&state.beta, beta, sizeof state.beta);
  state.workspace_bytes = workspace_bytes;
  state.stream = stream;
  return submit(stream, [=, product = product, la = la, lb = lb, lc = lc, ld = ld,
                         scale = state.alpha, keep = state.beta] {
    std::memset(static_cast<char*>(workspace) + workspace_bytes - 64, 0xff, 64);
    auto at = [](const Layout& l, bool transposed, uint64_t row, uint64_t column) {
      return transposed ? column + row * static_cast<uint64_t>(l.stride)
                        : row + column * static_cast<uint64_t>(l.stride);
    };
    for (uint64_t n = 0; n < columns; n++) {
      for (uint64_t m = 0; m < rows; m++) {
        double sum = 0;
        for (uint64_t k = 0; k < depth; k++) {
          sum += load(a, la.type, at(la, product.transposed_a != 0, m, k)) *
                 load(b, lb.type, at(lb, product.transposed_b != 0, k, n));
        }
        sum *= static_cast<double>(scale);
        // As in BLAS, C is not read when beta is 0.
        if (keep != 0) sum += keep * load(c, lc.type, at(lc, false, m, n));
        store_element(d, ld.type, at(ld, false, m, n), sum);
      }
    }
  });
}

}  // extern "C"
