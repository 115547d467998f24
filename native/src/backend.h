// A device behind the C boundary. abi.cc checks arguments and calls one of these; nothing above
// knows whether the CPU or a GPU is at work, and nothing here includes a header of CUDA's.
#ifndef PRECIS_BACKEND_H_
#define PRECIS_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "precis.h"

namespace precis {

// Every operation: precis_<op> takes precis_<op>_args.
#define PRECIS_FOR_EACH_OP(X) \
  X(attention)                \
  X(attention_backward)       \
  X(attention_decode)         \
  X(convert)                  \
  X(matmul_pack)              \
  X(transpose_packed)         \
  X(matmul)                   \
  X(lora_matmul)              \
  X(weight_gradient)          \
  X(linear_cross_entropy)     \
  X(log_probability)          \
  X(ppo_loss)                 \
  X(rms_norm)                 \
  X(rms_norm_backward)        \
  X(layer_norm)               \
  X(layer_norm_backward)      \
  X(embedding)                \
  X(embedding_backward)       \
  X(activation)               \
  X(activation_backward)      \
  X(add)                      \
  X(add_bias)                 \
  X(bias_gradient)            \
  X(dropout)                  \
  X(softmax)                  \
  X(top_k)                    \
  X(process_logits)           \
  X(sample)                   \
  X(sum_of_squares)           \
  X(adam)                     \
  X(sgd)                      \
  X(adafactor)                \
  X(zero)

// Who can use a piece of memory.
enum class Reach {
  kNobody,  // not the device, at least
  kDevice,  // the device; the host at a price
  kBoth
};

// What is reported goes out as Error; arguments have been checked.
class Backend {
 public:
  // Operations that were noted. Destroyed by the thread that has entered.
  class Recording {
   public:
    virtual ~Recording() = default;
  };

  // reaches_everything: whether the device can use all of the process's memory.
  explicit Backend(bool reaches_everything) : reaches_everything_(reaches_everything) {}
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;

  // Before anything else that a thread asks for.
  virtual void enter() {}
  // Fills in what it knows.
  virtual void describe(precis_context_info* info) const = 0;
  virtual void synchronize() = 0;

  // Zero-filled; shared: for what the host writes and reads often.
  virtual void* allocate(size_t bytes, bool shared) = 0;
  virtual void free(void* memory, size_t bytes) = 0;
  bool reaches_everything() const { return reaches_everything_; }
  // Asked only where the device does not reach everything.
  virtual Reach reach(const void*, size_t) const { return Reach::kBoth; }

  // Operations are noted from here on, until end. A device that cannot do it throws.
  virtual void record();
  bool recording() const { return recording_; }
  // Never nullptr.
  virtual std::unique_ptr<Recording> end_recording();
  virtual void drop_recording() noexcept {}
  // False where memory was freed or moved since.
  virtual bool replay(Recording&) { return false; }

  // Of a weight packed for this device.
  virtual int64_t packed_bytes(int64_t outputs, int64_t inputs, int32_t dtype) const = 0;

#define PRECIS_DECLARE_OP(op) virtual void op(const precis_##op##_args& a) = 0;
  PRECIS_FOR_EACH_OP(PRECIS_DECLARE_OP)
#undef PRECIS_DECLARE_OP

 protected:
  bool recording_ = false;

 private:
  const bool reaches_everything_;
};

std::unique_ptr<Backend> make_cpu_backend(int threads, const char* isa, const char* matmul);
// Throws Error where there is no such GPU, no driver or no CUDA in the build.
// many_rows: as in precis_context_args.
std::unique_ptr<Backend> make_cuda_backend(int index, bool many_rows);

}  // namespace precis

#endif  // PRECIS_BACKEND_H_
