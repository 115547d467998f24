// Recordings of the CPU backend: calls that are kept with copies of their arguments and made again
// without the caller, whose own part of a small operation is a few percent of a decoding step.
#ifndef PRECIS_CPU_RECORDING_H_
#define PRECIS_CPU_RECORDING_H_

#include <memory>
#include <utility>
#include <vector>

#include "backend.h"

namespace precis {

// The arguments of a call, and what they point to besides memory that operations read and write.
template <class Args>
class KeptArgs {
 public:
  explicit KeptArgs(const Args& args) : args_(args) {}
  const Args& args() const { return args_; }

 private:
  Args args_;
};

template <>
class KeptArgs<precis_lora_matmul_args> {
 public:
  explicit KeptArgs(const precis_lora_matmul_args& args)
      : rows_(args.row_adapters, args.row_adapters + args.row_adapter_count), args_(args) {
    args_.row_adapters = rows_.empty() ? nullptr : rows_.data();
  }
  KeptArgs(const KeptArgs&) = delete;  // args_ points into rows_
  const precis_lora_matmul_args& args() const { return args_; }

 private:
  std::vector<precis_lora_rows> rows_;
  precis_lora_matmul_args args_;
};

class CpuRecording final : public Backend::Recording {
 public:
  // Keeps a call: run(args) makes it again.
  template <class Args, class Run>
  void add(const Args& args, Run run) {
    calls_.push_back(std::make_unique<KeptCall<Args, Run>>(args, std::move(run)));
  }

  // Makes all calls, in order.
  void run() const {
    for (const auto& call : calls_) call->run();
  }

  // The number of times that memory had been freed when the last call was kept.
  int64_t frees = 0;

 private:
  struct Call {
    virtual ~Call() = default;
    virtual void run() const = 0;
  };
  template <class Args, class Run>
  struct KeptCall final : Call {
    KeptCall(const Args& args, Run r) : kept(args), run_with(std::move(r)) {}
    void run() const override { run_with(kept.args()); }
    KeptArgs<Args> kept;
    Run run_with;
  };

  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace precis

#endif  // PRECIS_CPU_RECORDING_H_
