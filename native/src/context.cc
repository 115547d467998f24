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
#if defined(MADV_HUGEPAGE)
  if (bytes >= (size_t{2} << 20)) (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return memory;
}

void unmap_pages(void* memory, size_t bytes) { munmap(memory, bytes); }

Scratch::~Scratch() {
  if (memory_ != nullptr) unmap_pages(memory_, bytes_);
}

void* Scratch::reserve(size_t bytes) {
  if (bytes <= bytes_) return memory_;
  // It reserves a quarter more: sequences grow by a token at a time.
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
