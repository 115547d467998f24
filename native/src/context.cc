#include "context.h"

#include <sys/mman.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "error.h"

namespace precis {

void fail(precis_status status, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Error{status, text};
}

void* map_pages(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (bytes >= (size_t{2} << 20)) (void)madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

void unmap_pages(void* memory, size_t bytes) { munmap(memory, bytes); }

Scratch::~Scratch() {
  if (memory_ != nullptr) unmap_pages(memory_, bytes_);
}

void* Scratch::reserve(size_t bytes) {
  if (bytes <= bytes_) return memory_;
  // A little more than asked for: sequences grow by a token at a time.
  const size_t wanted = (bytes + bytes / 4 + 4095) & ~size_t{4095};
  void* memory = map_pages(wanted);
  if (memory == nullptr) fail(PRECIS_OUT_OF_MEMORY, "no memory for %zu bytes of scratch", wanted);
  if (memory_ != nullptr) unmap_pages(memory_, bytes_);
  memory_ = memory;
  bytes_ = wanted;
  allocations_++;
  return memory_;
}

}  // namespace precis

precis_context::precis_context(int threads, const char* isa_name, const char* matmul)
    : cpu(threads), isa(precis::choose_isa(isa_name)) {
  using precis::OneDnnRule;
  const bool asked = matmul != nullptr && std::strcmp(matmul, "onednn") == 0;
  if (asked) {
    cpu.onednn_rule = {1, 1, 1};
  } else if (matmul == nullptr && precis::has_amx_bf16()) {
    // AMX multiplies bfloat16 and int8 about eight times as fast as AVX-512, which is all that the
    // kernels here use. bfloat16 goes there from the first row on, because AMX adds in another
    // order and a row may not depend on its batch; sums of int8 are exact, so the few rows of
    // decoding, which wait for memory in either, stay here.
    cpu.onednn_rule = {OneDnnRule::kNever, 1, 16};
  } else if (matmul != nullptr && std::strcmp(matmul, "native") != 0) {
    precis::fail(PRECIS_INVALID_ARGUMENT, "matmul: '%s' is neither native nor onednn", matmul);
  } else {
    return;
  }
  try {
    onednn = std::make_unique<precis::OneDnn>(cpu.pool.threads());
    cpu.onednn = onednn.get();
  } catch (const precis::Error& e) {
    if (asked) throw;
    onednn_error = e.text;
  }
}
