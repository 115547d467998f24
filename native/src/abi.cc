// The C boundary. Every entry point checks its arguments, runs the operation on the context's
// device and turns errors into a status and a sentence. Nothing else in the library is extern "C".

#include <cstdio>
#include <memory>
#include <new>

#include "backend.h"
#include "check.h"
#include "context.h"
#include "error.h"
#include "ops/matmul.h"

namespace precis {
namespace {

// Holds a context for the length of a call.
class Entry {
 public:
  explicit Entry(precis_context* context) : context_(context) {
    entered_ = !context->busy.exchange(true, std::memory_order_acquire);
  }
  ~Entry() {
    if (entered_) context_->busy.store(false, std::memory_order_release);
  }
  bool entered() const { return entered_; }

 private:
  precis_context* context_;
  bool entered_;
};

// Has the device entered as long as it exists.
class Inside {
 public:
  explicit Inside(Backend& backend) : backend_(backend) { backend.enter(); }
  Inside(const Inside&) = delete;
  ~Inside() { backend_.leave(); }

 private:
  Backend& backend_;
};

// An operation that fails during capture invalidates the capture.
void invalidate_capture(precis_context* context) {
  if (context->backend->recording() && context->capture_error.empty())
    context->capture_error = context->error;
}

// Runs body; an exception that leaves it becomes a status and the context's error text.
template <class Body>
precis_status run(precis_context* context, const void* args, Body&& body) noexcept {
  if (context == nullptr) return PRECIS_INVALID_ARGUMENT;
  Entry entry(context);
  // The other thread may be writing the error text: leave it alone.
  if (!entry.entered()) return PRECIS_INVALID_STATE;
  try {
    try {
      PRECIS_CHECK(args != nullptr, "args is NULL");
      const Inside inside(*context->backend);
      body(*context->backend);
      return PRECIS_OK;
    } catch (const Error& e) {
      context->error = e.text;
      invalidate_capture(context);
      return e.status;
    } catch (const std::bad_alloc&) {
      context->error = "out of memory";
      invalidate_capture(context);
      return PRECIS_OUT_OF_MEMORY;
    } catch (const std::exception& e) {
      context->error = e.what();
      invalidate_capture(context);
      return PRECIS_INTERNAL_ERROR;
    }
  } catch (...) {
    return PRECIS_INTERNAL_ERROR;
  }
}

precis_status allocate(precis_context* context, int64_t bytes, void** memory, bool shared) {
  return run(context, memory, [&](Backend& backend) {
    Check("allocate", backend).that(bytes > 0, bytes, " bytes");
    Check("allocate", backend).not_recording();
    *memory = backend.allocate(static_cast<size_t>(bytes), shared);
    context->allocations++;
  });
}

void check_copy(const Check& check, const void* from, int64_t bytes) {
  check.not_recording();
  check.that(from != nullptr, "from is NULL");
  check.that(bytes >= 0, bytes, " bytes");
}

}  // namespace
}  // namespace precis

using namespace precis;

extern "C" {

precis_status precis_context_create(const precis_context_args* args, precis_context** context) {
  if (args == nullptr || context == nullptr) return PRECIS_INVALID_ARGUMENT;
  *context = nullptr;
  auto report = [&](const char* text) {
    if (args->error != nullptr && args->error_bytes > 0) {
      std::snprintf(args->error, static_cast<size_t>(args->error_bytes), "%s", text);
    }
  };
  try {
    PRECIS_CHECK(args->device == PRECIS_CPU || args->device == PRECIS_CUDA,
                 "device: %d is neither the CPU nor CUDA", args->device);
    auto made = std::make_unique<precis_context>();
    made->backend = args->device == PRECIS_CUDA
                        ? make_cuda_backend(args->device_index, args->many_rows != 0)
                        : make_cpu_backend(args->threads, args->isa, args->matmul);
    *context = made.release();
    return PRECIS_OK;
  } catch (const Error& e) {
    report(e.text.c_str());
    return e.status;
  } catch (const std::bad_alloc&) {
    report("out of memory");
    return PRECIS_OUT_OF_MEMORY;
  } catch (...) {
    report("internal error");
    return PRECIS_INTERNAL_ERROR;
  }
}

void precis_context_destroy(precis_context* context) { delete context; }

precis_status precis_context_describe(precis_context* context, precis_context_info* info) {
  return run(context, info, [&](Backend& backend) {
    *info = {};
    info->abi_version = PRECIS_ABI_VERSION;
    info->allocations = context->allocations;
    info->replays = context->replays;
    backend.describe(info);
  });
}

const char* precis_last_error(precis_context* context) {
  return context == nullptr ? "the context is NULL" : context->error.c_str();
}

precis_status precis_synchronize(precis_context* context) {
  return run(context, context, [&](Backend& backend) {
    Check("synchronize", backend).not_recording();
    backend.synchronize();
  });
}

precis_status precis_cancel(precis_context* context, int32_t cancelled) {
  // It does not enter: it is meant for the time that another thread is inside.
  if (context == nullptr) return PRECIS_INVALID_ARGUMENT;
  context->backend->cancel(cancelled != 0);
  return PRECIS_OK;
}

precis_status precis_allocate(precis_context* context, int64_t bytes, void** memory) {
  return allocate(context, bytes, memory, false);
}

precis_status precis_allocate_shared(precis_context* context, int64_t bytes, void** memory) {
  return allocate(context, bytes, memory, true);
}

precis_status precis_free(precis_context* context, void* memory, int64_t bytes) {
  return run(context, memory, [&](Backend& backend) {
    Check("free", backend).not_recording();
    backend.free(memory, static_cast<size_t>(bytes));
  });
}

precis_status precis_upload(precis_context* context, void* to, const void* from, int64_t bytes) {
  return run(context, to, [&](Backend& backend) {
    const Check check("upload", backend);
    check_copy(check, from, bytes);
    check.not_cancelled();
    check.reach("to", to, bytes);
    check.host_memory("from", from, bytes);
    if (bytes > 0) backend.upload(to, from, static_cast<size_t>(bytes));
  });
}

precis_status precis_download(precis_context* context, void* to, const void* from, int64_t bytes) {
  return run(context, to, [&](Backend& backend) {
    const Check check("download", backend);
    check_copy(check, from, bytes);
    check.reach("from", from, bytes);
    check.host_memory("to", to, bytes);
    if (bytes > 0) backend.download(to, from, static_cast<size_t>(bytes));
  });
}

precis_status precis_record_begin(precis_context* context) {
  return run(context, context, [&](Backend& backend) {
    Check("record_begin", backend).not_recording();
    context->capture_error.clear();
    backend.record();
  });
}

precis_status precis_record_end(precis_context* context, precis_recording** recording) {
  if (recording != nullptr) *recording = nullptr;
  return run(context, context, [&](Backend& backend) {
    PRECIS_CHECK(backend.recording(), "record_end: nothing is recorded");
    if (recording == nullptr || !context->capture_error.empty()) {
      backend.drop_recording();
      PRECIS_CHECK(recording == nullptr, "record_end: %s", context->capture_error.c_str());
      return;
    }
    auto made = std::make_unique<precis_recording>();
    made->operations = backend.end_recording();
    *recording = made.release();
  });
}

precis_status precis_replay(precis_context* context, precis_recording* recording,
                            int32_t* replayed) {
  return run(context, recording, [&](Backend& backend) {
    PRECIS_CHECK(replayed != nullptr, "replay: replayed is NULL");
    const Check check("replay", backend);
    check.not_recording();
    check.not_cancelled();
    *replayed = backend.replay(*recording->operations) ? 1 : 0;
    context->replays += *replayed;
    check.not_cancelled();
  });
}

precis_status precis_recording_destroy(precis_context* context, precis_recording* recording) {
  return run(context, context, [&](Backend& backend) {
    Check("recording_destroy", backend).not_recording();
    const std::unique_ptr<precis_recording> owned(recording);
    if (recording != nullptr) backend.synchronize();
  });
}

precis_status precis_matmul_pack_size(precis_context* context, const precis_matmul_pack_args* args,
                                      int64_t* bytes) {
  return run(context, args, [&](Backend& backend) {
    const Check check("matmul_pack", backend);
    check.that(bytes != nullptr, "bytes is NULL");
    *bytes = check_packed_size(check, *args);
  });
}

#define PRECIS_ENTRY(op)                                                               \
  precis_status precis_##op(precis_context* context, const precis_##op##_args* args) { \
    return run(context, args, [&](Backend& backend) {                                  \
      const Check check(#op, backend);                                                 \
      check.not_cancelled();                                                           \
      check_##op(check, *args);                                                        \
      backend.op(*args);                                                               \
      check.not_cancelled();                                                           \
    });                                                                                \
  }
PRECIS_FOR_EACH_OP(PRECIS_ENTRY)
#undef PRECIS_ENTRY

}  // extern "C"
