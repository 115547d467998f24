// The CPU backend behind the C boundary.

#include "backend.h"

#include <cstdio>
#include <cstring>
#include <string>

#include "check.h"
#include "context.h"
#include "cpu/kernels.h"
#include "cpu/recording.h"
#include "error.h"
#include "ops/matmul.h"
#include "ops/op.h"

namespace precis {
namespace {

template <size_t n>
void copy_text(char (&to)[n], const char* text) {
  std::snprintf(to, n, "%s", text);
}

class CpuBackend final : public Backend {
 public:
  // matmul is as in precis_context_args. Throws Error.
  CpuBackend(int threads, const char* isa_name, const char* matmul)
      : Backend(true), cpu_(threads), isa_(choose_isa(isa_name)) {
    cpu_.cancelled = &cancelled_;
    const bool asked = matmul != nullptr && std::strcmp(matmul, "onednn") == 0;
    if (asked) {
      cpu_.onednn_rule = {1, 1, 1};
    } else if (matmul == nullptr && has_amx_bf16()) {
      // AMX, which oneDNN uses, multiplies bfloat16 and int8 about eight times as fast as AVX-512,
      // the widest instruction set of the kernels here. bfloat16 products go to oneDNN for any
      // number of rows, because AMX adds in another order and a row must not depend on its batch.
      // Sums of int8 are exact, so few rows, as in decoding, stay here: they are memory-bound
      // either way.
      cpu_.onednn_rule = {OneDnnRule::kNever, 1, 16};
    } else if (matmul != nullptr && std::strcmp(matmul, "native") != 0) {
      fail(PRECIS_INVALID_ARGUMENT, "matmul: '%s' is neither native nor onednn", matmul);
    } else {
      return;
    }
    try {
      onednn_ = std::make_unique<OneDnn>(cpu_.pool.threads());
      cpu_.onednn = onednn_.get();
      leave_to_kernels(PRECIS_FLOAT32, "float32", &cpu_.onednn_rule.float32);
      leave_to_kernels(PRECIS_BFLOAT16, "bfloat16", &cpu_.onednn_rule.bfloat16);
      leave_to_kernels(PRECIS_INT8, "int8", &cpu_.onednn_rule.int8);
    } catch (const Error& e) {
      if (asked) throw;
      onednn_error_ = e.text;
    }
  }

  void describe(precis_context_info* info) const override {
    info->device = PRECIS_CPU;
    info->threads = cpu_.pool.threads();
    info->scratch_bytes = cpu_.scratch.bytes() + cpu_.outer.bytes();
    info->allocations += cpu_.scratch.allocations() + cpu_.outer.allocations();
    copy_text(info->isa, isa_.name);
    copy_text(info->features, cpu_features());
    info->onednn = onednn_ != nullptr;
    if (onednn_ != nullptr) {
      copy_text(info->onednn_version, onednn_->version());
      copy_text(info->onednn_path, onednn_->path());
    }
    copy_text(info->onednn_error, onednn_error_.c_str());
    copy_text(info->cores, cpu_.pool.cores().c_str());
  }

  // Operations have finished when they return.
  void synchronize() override { cpu_.pool.release_caller(); }

  void* allocate(size_t bytes, bool) override {
    void* memory = map_pages(bytes);
    if (memory == nullptr) {
      fail(PRECIS_OUT_OF_MEMORY, "allocate: the system has no %zu bytes left", bytes);
    }
    return memory;
  }
  void free(void* memory, size_t bytes) override {
    unmap_pages(memory, bytes);
    frees_++;
  }

  void record() override {
    recorded_ = std::make_unique<CpuRecording>();
    recording_ = true;
  }
  std::unique_ptr<Recording> end_recording() override {
    recording_ = false;
    recorded_->frees = frees_;
    return std::move(recorded_);
  }
  void drop_recording() noexcept override {
    recording_ = false;
    recorded_.reset();
  }
  bool replay(Recording& recording) override {
    const auto& calls = static_cast<const CpuRecording&>(recording);
    if (calls.frees != frees_) return false;
    calls.run();
    return true;
  }
  void upload(void* to, const void* from, size_t bytes) override { std::memmove(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override {
    std::memmove(to, from, bytes);
  }

  int64_t packed_bytes(int64_t outputs, int64_t inputs, int32_t dtype) const override {
    return packed_layout(outputs, inputs, dtype).bytes;
  }

  // A call that is made again is checked again: what its arrays say may have changed.
#define PRECIS_CALL_KERNEL(op)                                   \
  void op(const precis_##op##_args& args) override {             \
    if (recording_) {                                            \
      recorded_->add(args, [this](const precis_##op##_args& a) { \
        const Check check(#op, *this);                           \
        check.not_cancelled();                                   \
        check_##op(check, a);                                    \
        isa_.kernels->op(cpu_, a);                               \
      });                                                        \
      return;                                                    \
    }                                                            \
    isa_.kernels->op(cpu_, args);                                \
  }
  PRECIS_FOR_EACH_OP(PRECIS_CALL_KERNEL)
#undef PRECIS_CALL_KERNEL

 private:
  // Products that oneDNN has not for this processor are ours.
  void leave_to_kernels(int32_t dtype, const char* name, int64_t* from_rows) {
    if (*from_rows == OneDnnRule::kNever || onednn_->multiplies(dtype)) return;
    *from_rows = OneDnnRule::kNever;
    onednn_error_ += onednn_error_.empty() ? "" : "; ";
    onednn_error_ += std::string("it has no product of ") + name + " for this processor";
  }

  CpuContext cpu_;
  IsaChoice isa_;
  std::unique_ptr<OneDnn> onednn_;
  std::string onednn_error_;
  std::unique_ptr<CpuRecording> recorded_;  // while recording_
  int64_t frees_ = 0;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads, const char* isa, const char* matmul) {
  return std::make_unique<CpuBackend>(threads, isa, matmul);
}

}  // namespace precis
