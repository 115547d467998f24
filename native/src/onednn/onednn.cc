#include "onednn/onednn.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "error.h"

namespace precis {

namespace {

constexpr size_t kMaxProducts = 256;

std::string last_dl_error() {
  const char* text = dlerror();
  return text == nullptr ? "unknown reason" : text;
}

// The folder that libprecis itself was loaded from.
std::string own_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// Loaded libraries stay: their threads and static data do not survive an unload.
const precis_onednn_plugin* load() {
  // With oneDNN already in the process, the plugin finds that one by its name.
  if (const char* folder = std::getenv("PRECIS_ONEDNN_PATH"); folder != nullptr && *folder != 0) {
    const std::string path = std::string(folder) + "/libdnnl.so.3";
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
      fail(PRECIS_UNSUPPORTED, "onednn: PRECIS_ONEDNN_PATH leads nowhere: %s",
           last_dl_error().c_str());
    }
  }
  const std::string path = own_folder() + "/libprecis_onednn.so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) fail(PRECIS_UNSUPPORTED, "onednn: %s", last_dl_error().c_str());
  auto* entry = reinterpret_cast<decltype(&precis_onednn)>(dlsym(library, "precis_onednn"));
  const precis_onednn_plugin* plugin = entry == nullptr ? nullptr : entry();
  if (plugin == nullptr) fail(PRECIS_UNSUPPORTED, "onednn: %s does not work here", path.c_str());
  if (plugin->abi != PRECIS_ONEDNN_ABI) {
    fail(PRECIS_UNSUPPORTED, "onednn: %s belongs to another version of libprecis", path.c_str());
  }
  return plugin;
}

}  // namespace

OneDnn::OneDnn(int threads) : plugin_(load()), threads_(threads) {}

OneDnn::~OneDnn() {
  for (Entry& e : entries_) plugin_->destroy(e.product);
}

precis_onednn_product* OneDnn::create(const precis_onednn_product_args& args,
                                      char (&error)[128]) const {
  return plugin_->create(&args, error, sizeof error);
}

bool OneDnn::multiplies(int32_t dtype) const {
  char error[128] = "";
  precis_onednn_product* product = create({16, 1, 64, 64, dtype, threads_}, error);
  if (product != nullptr) plugin_->destroy(product);
  return product != nullptr;
}

precis_onednn_product* OneDnn::product(int64_t rows, int64_t tiles, int64_t inputs,
                                       int64_t x_stride, int32_t dtype) {
  for (const Entry& e : entries_) {
    if (e.args.rows == rows && e.args.tiles == tiles && e.args.inputs == inputs &&
        e.args.x_stride == x_stride && e.args.dtype == dtype) {
      return e.product;
    }
  }
  const precis_onednn_product_args args = {rows, tiles, inputs, x_stride, dtype, threads_};
  char error[128] = "";
  entries_.reserve(kMaxProducts + 8);
  precis_onednn_product* product = create(args, error);
  if (product == nullptr) {
    fail(PRECIS_UNSUPPORTED, "matmul: %s of %lld rows, %lld inputs and %lld outputs", error,
         static_cast<long long>(rows), static_cast<long long>(inputs),
         static_cast<long long>(64 * tiles));
  }
  entries_.push_back({args, product});
  return product;
}

bool OneDnn::multiply(precis_onednn_product* product, int thread, const void* x, const void* w,
                      void* y) const {
  return plugin_->multiply(product, thread, x, w, y) == 0;
}

const char* OneDnn::version() const { return plugin_->version; }

const char* OneDnn::path() const { return plugin_->path; }

void OneDnn::release_surplus() {
  if (entries_.size() < kMaxProducts) return;
  for (Entry& e : entries_) plugin_->destroy(e.product);
  entries_.clear();
}

}  // namespace precis
