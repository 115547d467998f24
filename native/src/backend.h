// A device behind the C boundary. abi.cc has the arguments checked and calls one of these; nothing
// above knows whether it is the CPU or a GPU, and nothing here includes a CUDA header.
#ifndef PRECIS_BACKEND_H_
#define PRECIS_BACKEND_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "operations.h"
#include "precis.h"

namespace precis {

// Says who can access a range of memory.
enum class Reach {
  kNobody,  // the device cannot
  kDevice,  // the device alone
  kBoth
};

// Errors are thrown as Error. Arguments have been checked.
class Backend {
 public:
  // Operations to be run again: a CUDA graph, or a list of calls. It is destroyed by the thread that
  // has entered.
  class Recording {
   public:
    virtual ~Recording() = default;
  };

  // reaches_everything says that the device can access all of the process's memory.
  explicit Backend(bool reaches_everything) : reaches_everything_(reaches_everything) {}
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;

  // Called before anything else whenever a thread enters.
  virtual void enter() {}
  // Called after everything else, in the same thread, unless enter has thrown.
  virtual void leave() noexcept {}
  // Fills in the members that belong to the device.
  virtual void describe(precis_context_info* info) const = 0;
  virtual void synchronize() = 0;

  // Returns zero-filled memory; shared memory is for what the host writes and reads often.
  virtual void* allocate(size_t bytes, bool shared) = 0;
  virtual void free(void* memory, size_t bytes) = 0;
  // Copies host memory to memory of the device, or back; only download waits.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  virtual void download(void* to, const void* from, size_t bytes) = 0;
  bool reaches_everything() const { return reaches_everything_; }
  // Called only if the device does not reach everything.
  virtual Reach reach(const void*, size_t) const { return Reach::kBoth; }

  // While cancelled, operations are refused. Any thread may call this at any time.
  void cancel(bool cancelled) { cancelled_.store(cancelled, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // Begins a capture, which end_recording ends.
  virtual void record() = 0;
  bool recording() const { return recording_; }
  // Ends the capture; never returns nullptr.
  virtual std::unique_ptr<Recording> end_recording() = 0;
  virtual void drop_recording() noexcept = 0;
  // Runs the operations. Returns false if memory was freed or moved since the capture.
  virtual bool replay(Recording& recording) = 0;

  // Returns the size of a weight packed for this device.
  virtual int64_t packed_bytes(int64_t outputs, int64_t inputs, int32_t dtype) const = 0;

#define PRECIS_DECLARE_OP(op) virtual void op(const precis_##op##_args& a) = 0;
  PRECIS_FOR_EACH_OP(PRECIS_DECLARE_OP)
#undef PRECIS_DECLARE_OP

 protected:
  bool recording_ = false;
  std::atomic<bool> cancelled_{false};

 private:
  const bool reaches_everything_;
};

std::unique_ptr<Backend> make_cpu_backend(int threads, const char* isa, const char* matmul);
// Throws Error if there is no such GPU, no driver or no CUDA in the build. many_rows is as in
// precis_context_args.
std::unique_ptr<Backend> make_cuda_backend(int index, bool many_rows);

}  // namespace precis

#endif  // PRECIS_BACKEND_H_
