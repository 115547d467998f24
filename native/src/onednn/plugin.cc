#include "onednn/plugin.h"

#include <dlfcn.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

#include "precis.h"

// One thread's objects: a memory object holds the pointer of the call in progress.
struct precis_onednn_lane {
  dnnl_stream_t stream;
  dnnl_memory_t x, w, y, scratch;
  void* scratch_memory;
};

struct precis_onednn_product {
  dnnl_primitive_t primitive;
  int32_t threads;
  precis_onednn_lane* lanes;
};

namespace {

// oneDNN's own threads would compete with ours: within this scope it sees one. The setting belongs
// to the calling thread, which may use OpenMP for other things.
class Sequential {
 public:
  Sequential() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~Sequential() { omp_set_num_threads(before_); }

 private:
  int before_;
};

dnnl_engine_t engine() {
  static const dnnl_engine_t one = [] {
    dnnl_engine_t e = nullptr;
    return dnnl_engine_create(&e, dnnl_cpu, 0) == dnnl_success ? e : nullptr;
  }();
  return one;
}

void destroy(precis_onednn_product* p) {
  if (p == nullptr) return;
  for (int i = 0; p->lanes != nullptr && i < p->threads; i++) {
    precis_onednn_lane& lane = p->lanes[i];
    for (dnnl_memory_t m : {lane.x, lane.w, lane.y, lane.scratch}) {
      if (m != nullptr) dnnl_memory_destroy(m);
    }
    if (lane.stream != nullptr) dnnl_stream_destroy(lane.stream);
    std::free(lane.scratch_memory);
  }
  delete[] p->lanes;
  if (p->primitive != nullptr) dnnl_primitive_destroy(p->primitive);
  delete p;
}

// The objects that create makes on its way to a primitive.
struct Descriptors {
  dnnl_memory_desc_t x = nullptr, w = nullptr, y = nullptr;
  dnnl_primitive_attr_t attributes = nullptr;
  dnnl_primitive_desc_t product = nullptr;
  ~Descriptors() {
    for (dnnl_memory_desc_t m : {x, w, y}) {
      if (m != nullptr) dnnl_memory_desc_destroy(m);
    }
    if (attributes != nullptr) dnnl_primitive_attr_destroy(attributes);
    if (product != nullptr) dnnl_primitive_desc_destroy(product);
  }
};

// The step that failed, or nullptr.
const char* build(const precis_onednn_product_args& a, precis_onednn_product* p) {
  Descriptors d;
  const dnnl_dims_t x_dims = {a.rows, a.inputs}, x_strides = {a.x_stride, 1};
  const dnnl_dims_t w_dims = {a.inputs, a.tiles * 64}, y_dims = {a.rows, a.tiles * 64};
  const dnnl_dims_t y_strides = {a.tiles * 64, 1};
  const bool int8 = a.dtype == PRECIS_INT8, bf16 = a.dtype == PRECIS_BFLOAT16;
  if (dnnl_memory_desc_create_with_strides(&d.x, 2, x_dims,
                                           int8   ? dnnl_u8
                                           : bf16 ? dnnl_bf16
                                                  : dnnl_f32,
                                           x_strides) != dnnl_success ||
      dnnl_memory_desc_create_with_tag(&d.w, 2, w_dims,
                                       int8   ? dnnl_s8
                                       : bf16 ? dnnl_bf16
                                              : dnnl_f32,
                                       int8   ? dnnl_BA16a64b4a
                                       : bf16 ? dnnl_BA16a64b2a
                                              : dnnl_BA16a64b) != dnnl_success ||
      dnnl_memory_desc_create_with_strides(&d.y, 2, y_dims, int8 ? dnnl_s32 : dnnl_f32,
                                           y_strides) != dnnl_success) {
    return "the memory layout";
  }
  if (dnnl_primitive_attr_create(&d.attributes) != dnnl_success ||
      dnnl_primitive_attr_set_scratchpad_mode(d.attributes, dnnl_scratchpad_mode_user) !=
          dnnl_success ||
      dnnl_matmul_primitive_desc_create(&d.product, engine(), d.x, d.w, nullptr, d.y,
                                        d.attributes) != dnnl_success) {
    return "the primitive";
  }
  // Plain loops, hundreds of times slower, which oneDNN calls ref and ref_int8.
  const char* name = nullptr;
  if (dnnl_primitive_desc_query(d.product, dnnl_query_impl_info_str, 0, &name) == dnnl_success &&
      std::strncmp(name, "ref", 3) == 0) {
    return "more than a reference implementation";
  }
  if (dnnl_primitive_create(&p->primitive, d.product) != dnnl_success) return "the primitive";
  const_dnnl_memory_desc_t scratch =
      dnnl_primitive_desc_query_md(d.product, dnnl_query_scratchpad_md, 0);
  const size_t bytes = scratch == nullptr ? 0 : dnnl_memory_desc_get_size(scratch);
  p->lanes = new (std::nothrow) precis_onednn_lane[a.threads]();
  if (p->lanes == nullptr) return "memory";
  p->threads = a.threads;
  for (int i = 0; i < a.threads; i++) {
    precis_onednn_lane& lane = p->lanes[i];
    lane.scratch_memory = std::aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (lane.scratch_memory == nullptr ||
        dnnl_stream_create(&lane.stream, engine(), dnnl_stream_in_order) != dnnl_success ||
        dnnl_memory_create(&lane.x, d.x, engine(), DNNL_MEMORY_NONE) != dnnl_success ||
        dnnl_memory_create(&lane.w, d.w, engine(), DNNL_MEMORY_NONE) != dnnl_success ||
        dnnl_memory_create(&lane.y, d.y, engine(), DNNL_MEMORY_NONE) != dnnl_success ||
        (bytes > 0 && dnnl_memory_create(&lane.scratch, scratch, engine(), lane.scratch_memory) !=
                          dnnl_success)) {
      return "memory";
    }
  }
  return nullptr;
}

precis_onednn_product* create(const precis_onednn_product_args* args, char* error,
                              int64_t error_bytes) {
  const Sequential sequential;
  auto* p = new (std::nothrow) precis_onednn_product();
  const char* failed = p == nullptr ? "memory" : build(*args, p);
  if (failed == nullptr) return p;
  std::snprintf(error, static_cast<size_t>(error_bytes), "oneDNN does not give %s of a product",
                failed);
  destroy(p);
  return nullptr;
}

int32_t multiply(precis_onednn_product* p, int32_t thread, const void* x, const void* w, void* y) {
  const Sequential sequential;
  precis_onednn_lane& lane = p->lanes[thread];
  if (dnnl_memory_set_data_handle(lane.x, const_cast<void*>(x)) != dnnl_success ||
      dnnl_memory_set_data_handle(lane.w, const_cast<void*>(w)) != dnnl_success ||
      dnnl_memory_set_data_handle(lane.y, y) != dnnl_success) {
    return 1;
  }
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, lane.x},
                                       {DNNL_ARG_WEIGHTS, lane.w},
                                       {DNNL_ARG_DST, lane.y},
                                       {DNNL_ARG_SCRATCHPAD, lane.scratch}};
  const int count = lane.scratch == nullptr ? 3 : 4;
  if (dnnl_primitive_execute(p->primitive, lane.stream, count, arguments) != dnnl_success) return 1;
  return dnnl_stream_wait(lane.stream) == dnnl_success ? 0 : 1;
}

}  // namespace

extern "C" const precis_onednn_plugin* precis_onednn(void) {
  static char version[64], path[512];
  static const precis_onednn_plugin plugin = {PRECIS_ONEDNN_ABI, 0,       version, path, create,
                                              destroy,           multiply};
  static const bool works = [] {
    const dnnl_version_t* v = dnnl_version();
    std::snprintf(version, sizeof version, "%d.%d.%d", v->major, v->minor, v->patch);
    Dl_info info;
    if (dladdr(reinterpret_cast<const void*>(&dnnl_version), &info) != 0) {
      std::snprintf(path, sizeof path, "%s", info.dli_fname);
    }
    return engine() != nullptr;
  }();
  return works ? &plugin : nullptr;
}
