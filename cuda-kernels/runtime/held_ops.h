// Operations that wait for their successor, because one launch can compute both:
//
//   RMS norm, then a product of the normalized rows         the norm becomes a prologue
//   product, then an activation of all that it computed,    an epilogue
//     which may be dropped in place
//   product, perhaps dropped in place, then the gradient    likewise
//     of the activation whose gradient it computed
//   product, then attention over the encoder's keys         likewise: the product is the queries
//   copy of a matrix, then a product that is added to it    the product is added to the original
//   product, such a copy, then dropout that is added to it  an epilogue of the product
//   norm's gradient, then its dropout                       one elementwise kernel
//   activation, then its dropout; the same backward         likewise
//   dropout, then gradients of weights that read its result the mask is applied on the way
//   gradients, conversions, packing: several of a kind      a group in one launch
//
// An operation is held as it was given, and launched with the next one where that suits, otherwise
// before it. Everything that the separate kernels write is written, in the same bits, so that the
// caller need not know. The backend releases what is held before it does anything else: only errors
// of the launch come one operation later.
#ifndef PRECIS_CUDA_HELD_OPS_H_
#define PRECIS_CUDA_HELD_OPS_H_

#include <optional>
#include <vector>

#include "cuda_check.h"
#include "device_memory.h"
#include "fused_ops.h"
#include "lora_matmul.cuh"
#include "weight_gradient.cuh"

namespace precis {

class HeldOps {
 public:
  HeldOps(CudaContext& context, const DeviceMemory& memory) : context_(context), memory_(memory) {}
  ~HeldOps() {
    if (finished_tiles_ != nullptr) cudaFree(finished_tiles_);
  }
  HeldOps(const HeldOps&) = delete;

  // Allocates device memory; must precede everything else.
  void open() {
    void* memory = nullptr;
    const size_t bytes = kMostTiles * sizeof(uint32_t);
    cuda_check(cudaMalloc(&memory, bytes), "device memory");
    finished_tiles_ = static_cast<uint32_t*>(memory);
    launches++;
    cuda_check(cudaMemsetAsync(memory, 0, bytes, context_.stream), "device memory");
  }

  // Launches what is held. Throws Error if that fails; then nothing is held any more.
  void release() {
    if (!holds_other_than_gradients() && !held_.dropout && held_.gradients.count == 0) return;
    const Held held = std::move(held_);
    held_ = {};
    if (held.product) run(*held.product);
    if (held.norm_backward) {
      cuda_check(rms_norm_backward_cuda(context_, *held.norm_backward), "rms_norm_backward");
    }
    if (held.activation) cuda_check(activation_cuda(context_, *held.activation), "activation");
    if (held.norm) cuda_check(rms_norm_cuda(context_, *held.norm), "rms_norm");
    if (held.dropout && !held.dropout_is_read) {
      cuda_check(dropout_cuda(context_, *held.dropout), "dropout");
    }
    cuda_check(weight_gradients(context_, held.gradients, finished_tiles_), "weight_gradient");
    if (!held.converts.empty()) {
      cuda_check(converts(context_, held.converts.data(), static_cast<int>(held.converts.size())),
                 "convert");
    }
    if (!held.packs.empty()) {
      cuda_check(matmul_packs(context_, held.packs.data(), static_cast<int>(held.packs.size())),
                 "matmul_pack");
    }
  }
  // Forgets what is held: the capture that it belongs to is dropped.
  void drop() { held_ = {}; }

  // Holds an operation, or launches it with those before it. Returns false, and holds nothing any
  // more, where the caller is to launch it.
  template <class Args>
  bool take(const Args&) {
    return refuse();
  }

  bool take(const precis_rms_norm_args& a) {
    release();
    if (a.y.dtype != PRECIS_BFLOAT16 || rows(a.x) == 0) return false;
    held_.norm = a;
    return true;
  }

  bool take(const precis_matmul_args& a) {
    if (context_.cublaslt != nullptr) return refuse();
    return take_product(plain_product(a.x, a.w, a.y, a.alpha, a.accumulate, a.step), a.w.dtype, a.x,
                        a.y);
  }
  bool take(const precis_lora_matmul_args& a) {
    if (a.a.dtype != adapter_type(a.w.dtype) || a.b.dtype != a.a.dtype || a.row_adapter_count > 0) {
      return refuse();
    }
    return take_product(lora_product(a), a.w.dtype, a.x, a.y);
  }

  bool take(const precis_rms_norm_backward_args& a) {
    release();
    held_.norm_backward = a;
    return true;
  }

  bool take(const precis_activation_args& a) {
    if (follows_product(a.x, a.y) &&
        (held_.product->few || wgmma_activates(context_, held_.product->product, a.gated != 0))) {
      held_.product->activation = a;
      return true;
    }
    release();
    held_.activation = a;
    return true;
  }
  bool take(const precis_attention_decode_args& a) {
    if (!follows_product(a.q, a.out) || !held_.product->few || !held_.product->product.step ||
        !step_takes_attention(context_, held_.product->product) || a.k_new.data != nullptr ||
        a.k_cache.dtype != PRECIS_BFLOAT16 || a.v_cache.dtype != PRECIS_BFLOAT16 ||
        columns(a.q) / a.heads > kMaxFusedHead) {
      return refuse();
    }
    const Product product = held_.product->product;
    drop();
    cuda_check(step_attention(context_, product, a), "attention_decode");
    return true;
  }

  bool take(const precis_activation_backward_args& a) {
    if (held_.product && !held_.product->product.step && !held_.product->activation &&
        held_.converts.empty() && same(held_.product->y, a.dy) && leaves_product_alone(a.dx) &&
        !overlap(a.x, held_.product->y)) {
      HeldProduct last = *held_.product;
      last.product.activation_backward = {
          any_matrix(a.x), any_matrix(a.dx),         a.kind,
          a.gated != 0,    last.dropout.has_value(), mask(last.dropout)};
      last.dropout.reset();
      drop();
      run(last);
      return true;
    }
    if (!held_.dropout || !same(held_.dropout->x, held_.dropout->y) ||
        !same(held_.dropout->y, a.dy)) {
      return refuse();
    }
    const precis_dropout_args dropout = *held_.dropout;
    drop();
    cuda_check(activation_backward_dropped(context_, a, dropout), "activation_backward");
    return true;
  }

  bool take(const precis_dropout_args& a) {
    if (rows(a.x) * columns(a.x) == 0) return refuse();
    if (a.accumulate) return take_sum(a);
    if (held_.norm_backward && same(held_.norm_backward->dx, a.x)) {
      const precis_rms_norm_backward_args norm = *held_.norm_backward;
      if (!overlap(a.y, norm.x) && !overlap(a.y, norm.dy) && !overlap(a.y, norm.dx) &&
          !overlap(a.y, norm.weight)) {
        drop();
        cuda_check(rms_norm_backward_dropped(context_, norm, a), "rms_norm_backward");
        return true;
      }
    }
    if (held_.activation && same(held_.activation->y, a.x) && same(a.x, a.y)) {
      const precis_activation_args activation = *held_.activation;
      drop();
      cuda_check(activation_dropped(context_, activation, a), "activation");
      return true;
    }
    if (held_.product && same(a.x, a.y) && held_.converts.empty() && !held_.product->dropout &&
        same(a.x, held_.product->activation ? held_.product->activation->y : held_.product->y)) {
      held_.product->dropout = a;
      return true;
    }
    release();
    if (overlap(a.x, a.y) && !same(a.x, a.y)) return false;
    held_.dropout = a;
    return true;
  }
  bool take(const precis_weight_gradient_args& a) {
    if (holds_other_than_gradients() || !is_independent(a)) release();
    if (!add_gradient(a)) {
      release();
      add_gradient(a);
    }
    return true;
  }

  bool take(const precis_convert_args& a) {
    if (is_plain_product() && !overlap(a.x, held_.product->y) && leaves_product_alone(a.y)) {
      held_.converts.push_back(a);
      return true;
    }
    bool joins = !held_.product && !held_.converts.empty() && held_.converts.size() < kMostConverts;
    for (const precis_convert_args& each : held_.converts) {
      joins = joins && !overlap(a.y, each.y) && !overlap(a.y, each.x) && !overlap(a.x, each.y);
    }
    if (!joins) release();
    held_.converts.push_back(a);
    return true;
  }
  bool take(const precis_matmul_pack_args& a) {
    bool on_device = a.dtype != PRECIS_INT8;
    for (int i = 0; i < a.weight_count; i++) {
      const precis_tensor& w = a.weights[i];
      on_device =
          on_device && memory_.reach(w.data, static_cast<size_t>(span(w))) != Reach::kNobody;
    }
    if (!on_device) return refuse();
    bool joins = held_.packs.size() < kMostPacks && !held_.packs.empty();
    for (const precis_matmul_pack_args& each : held_.packs) {
      joins = joins && are_independent(a, each) && are_independent(each, a);
    }
    if (!joins) release();
    held_.packs.push_back(a);
    return true;
  }

 private:
  struct HeldProduct {
    Product product;  // with its norm, if there is one
    precis_tensor y;
    int32_t dtype;
    bool few;                                          // takes an activation or attention along
    std::optional<precis_activation_args> activation;  // of y
    std::optional<precis_dropout_args> dropout;        // in place, of the activation or else of y
  };
  // One of these at a time, but a product with a copy, and dropout with gradients.
  struct Held {
    std::optional<precis_rms_norm_args> norm;
    std::optional<HeldProduct> product;
    std::optional<precis_rms_norm_backward_args> norm_backward;
    std::optional<precis_activation_args> activation;
    std::optional<precis_dropout_args> dropout;
    bool dropout_is_read = false;  // by a gradient, which writes its result as well
    WeightGradients gradients;
    std::vector<precis_convert_args> converts;
    std::vector<precis_matmul_pack_args> packs;
  };

  bool refuse() {
    release();
    return false;
  }

  // Attaches the held norm to a product that reads its rows, or the held copy to one that is added
  // to it, and holds the product where something could follow that it takes along.
  bool take_product(Product product, int32_t dtype, const precis_tensor& x,
                    const precis_tensor& y) {
    if (held_.product) release();
    product.step = is_step_product(context_, product, dtype);
    const bool fused = !product.step && dtype == PRECIS_BFLOAT16 && can_fuse(context_, product);
    const bool normalizes = product.step ? step_takes_norm(context_, product)
                                         : fused || normalizes_down(product, dtype);
    const auto& norm = held_.norm;
    if (normalizes && norm && same(norm->y, x) && !overlap(y, norm->x)) {
      product.norm = {static_cast<const float*>(norm->x.data), row_stride(norm->x),
                      static_cast<const float*>(norm->weight.data), norm->epsilon};
      drop();
    }
    if (held_.converts.size() == 1 && product.accumulate) {
      const precis_convert_args copy = held_.converts.front();
      if (copy.x.dtype == PRECIS_FLOAT32 && same(copy.y, y) && !overlap(copy.x, y)) {
        drop();
        add_to(product, copy.x);
        cuda_check(run_product(context_, product, dtype), "matmul");
        return true;
      }
    }
    release();
    if (!product.accumulate && product.rows > 0) {
      const bool few =
          y.dtype == PRECIS_BFLOAT16 &&
          (product.step ? step_takes_activation(context_, product) : fused && product.ranks == 0);
      held_.product = {product, y, dtype, few, {}, {}};
      return true;
    }
    if (product.norm.rows == nullptr) return false;
    run(product, dtype);
    return true;
  }

  // Launches a held product, with what follows it where a kernel takes that along.
  void run(const HeldProduct& held) {
    if (!held.activation) {
      run(held.product, held.dtype);
      if (held.dropout) cuda_check(dropout_cuda(context_, *held.dropout), "dropout");
      return;
    }
    const precis_activation_args& a = *held.activation;
    Product product = held.product;
    product.activation = {any_matrix(a.y), a.kind, a.gated != 0, held.dropout.has_value(),
                          mask(held.dropout)};
    bool done = held.few;
    if (held.few) {
      cuda_check(fused_product(context_, product), "activation");
    } else {
      cuda_check(lora_matmul_wgmma(context_, product, &done), "activation");
    }
    if (done) return;
    run(held.product, held.dtype);
    cuda_check(held.dropout ? activation_dropped(context_, a, *held.dropout)
                            : activation_cuda(context_, a),
               "activation");
  }
  static ElementDropout mask(const std::optional<precis_dropout_args>& a) {
    return a ? element_dropout(*a) : ElementDropout();
  }

  void run(const Product& product, int32_t dtype) {
    const bool fused = product.norm.rows != nullptr && !normalizes_down(product, dtype);
    cuda_check(fused ? fused_product(context_, product) : run_product(context_, product, dtype),
               "matmul");
  }

  // Tells whether a product is held, and nothing that follows it.
  bool is_plain_product() const {
    return held_.product && !held_.product->activation && !held_.product->dropout &&
           held_.converts.empty();
  }
  // Tells whether an operation reads the held product's result, all of it and nothing else of what
  // is held, and writes nothing that the product reads or writes.
  bool follows_product(const precis_tensor& x, const precis_tensor& out) const {
    return is_plain_product() && same(held_.product->y, x) && leaves_product_alone(out);
  }
  // Tells whether an output has no memory of the held product, whose blocks finish at different
  // times.
  bool leaves_product_alone(const precis_tensor& out) const {
    const Product& p = held_.product->product;
    const auto overlaps = [&](const void* data, int64_t stride, int64_t width, int64_t element) {
      return data != nullptr &&
             overlap(data, ((p.rows - 1) * stride + width) * element, out.data, span(out));
    };
    return !overlap(out, held_.product->y) &&
           !overlaps(p.x.data, p.x.stride, p.inputs, p.x.bf16 ? 2 : 4) &&
           !overlaps(p.z.data, p.z.stride, p.inputs, p.z.bf16 ? 2 : 4) &&
           !overlaps(p.norm.rows, p.norm.stride, p.inputs, 4) &&
           !overlaps(p.down, p.down_stride, p.ranks, 4);
  }

  // Launches y += dropout(x), with the product that x is and the copy that y is.
  bool take_sum(const precis_dropout_args& a) {
    const precis_convert_args* copy = nullptr;
    if (held_.converts.size() == 1) {
      copy = &held_.converts.front();
      if (copy->x.dtype != PRECIS_FLOAT32 || !same(copy->y, a.y) || overlap(copy->x, a.y)) {
        return refuse();
      }
    }
    const precis_tensor base = copy != nullptr ? copy->x : a.y;
    if (held_.product && !held_.product->activation && !held_.product->dropout &&
        same(held_.product->y, a.x) && leaves_product_alone(a.y)) {
      Product product = held_.product->product;
      const int32_t dtype = held_.product->dtype;
      product.residual = {static_cast<float*>(a.y.data), row_stride(a.y),
                          static_cast<const float*>(base.data), row_stride(base),
                          element_dropout(a)};
      drop();
      run(product, dtype);
      return true;
    }
    if (copy != nullptr) held_.converts.clear();
    release();
    cuda_check(dropout_onto(context_, a, base), "dropout");
    return true;
  }

  bool holds_other_than_gradients() const {
    return held_.norm || held_.product || held_.norm_backward || held_.activation ||
           !held_.converts.empty() || !held_.packs.empty();
  }

  // Tells whether a gradient can be computed beside those that are held.
  bool is_independent(const precis_weight_gradient_args& a) const {
    for (int i = 0; i < held_.gradients.count; i++) {
      const precis_weight_gradient_args& g = held_.gradients.all[i];
      if (overlap(a.dw, g.dw) || overlap(a.dw, g.dy) || overlap(a.dw, g.x) || overlap(a.dy, g.dw) ||
          overlap(a.x, g.dw)) {
        return false;
      }
    }
    if (!held_.dropout) return true;
    const precis_dropout_args& d = *held_.dropout;
    return !overlap(d.x, d.y) && !overlap(a.dw, d.x) && !overlap(a.dw, d.y) &&
           !overlap(a.dy, d.y) && (same(a.x, d.y) || !overlap(a.x, d.y));
  }
  bool add_gradient(const precis_weight_gradient_args& a) {
    if (!held_.dropout || !same(a.x, held_.dropout->y) || weight_gradient_tiles(a) == 0) {
      return held_.gradients.add(a, nullptr);
    }
    const precis_dropout_args& d = *held_.dropout;
    const DroppedRows dropped = {d.x, element_dropout(d)};
    const bool added = held_.gradients.add(a, &dropped);
    held_.dropout_is_read |= added;
    return added;
  }

  // Tells whether b reads and writes nothing that a writes.
  static bool are_independent(const precis_matmul_pack_args& a, const precis_matmul_pack_args& b) {
    if (overlap(a.packed, a.packed_bytes, b.packed, b.packed_bytes)) return false;
    for (int i = 0; i < b.weight_count; i++) {
      const precis_tensor& w = b.weights[i];
      if (overlap(a.packed, a.packed_bytes, w.data, span(w))) return false;
    }
    return true;
  }

  static bool same(const precis_tensor& a, const precis_tensor& b) {
    return a.data == b.data && a.dtype == b.dtype && rows(a) == rows(b) &&
           columns(a) == columns(b) && row_stride(a) == row_stride(b);
  }
  static bool overlap(const void* a, int64_t a_bytes, const void* b, int64_t b_bytes) {
    const auto *a_begin = static_cast<const char*>(a), *b_begin = static_cast<const char*>(b);
    return a_begin < b_begin + b_bytes && b_begin < a_begin + a_bytes;
  }
  static bool overlap(const precis_tensor& a, const precis_tensor& b) {
    return overlap(a.data, span(a), b.data, span(b));
  }
  // The bytes from a tensor's first element to its last.
  static int64_t span(const precis_tensor& t) {
    if (rows(t) == 0) return 0;
    return ((rows(t) - 1) * row_stride(t) + columns(t)) * element_bytes(t.dtype);
  }

  CudaContext& context_;
  const DeviceMemory& memory_;
  uint32_t* finished_tiles_ = nullptr;
  Held held_;
};

}  // namespace precis

#endif  // PRECIS_CUDA_HELD_OPS_H_
