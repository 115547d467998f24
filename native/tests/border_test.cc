// Tests the C boundary: an invalid argument of any operation gives a status and a message that
// names it, never a crash. Each operation has a valid call here, and every tensor, packed matrix
// and array of it is made invalid in every way, one at a time. An operation without a call does not
// compile; an argument in precis.h that its call omits fails the test.

#include <algorithm>
#include <cctype>
#include <climits>
#include <deque>
#include <fstream>
#include <functional>
#include <regex>
#include <sstream>
#include <string>

#include "backend.h"
#include "ops/matmul.h"
#include "test.h"

using namespace precis;

namespace {

enum class Kind { kTensor, kPacked, kArray };

// One argument that points to memory.
struct Argument {
  std::string name;
  Kind kind;
  size_t offset;  // of the tensor, the packed matrix or the pointer in the args
  int64_t bytes, row_bytes, element;
  bool written = false;
  bool optional = false;
  int least_rank = 0, most_rank = 0;
  std::vector<int32_t> dtypes;
  std::string may_be;  // the tensor or the array that this output may be

  Argument& allow(std::vector<int32_t> more) {
    dtypes = std::move(more);
    return *this;
  }
  Argument& ranks(int least, int most) {
    least_rank = least;
    most_rank = most;
    return *this;
  }
  Argument& in_place_of(const char* input) {
    may_be = input;
    return *this;
  }
  Argument& absent() {
    optional = true;
    return *this;
  }
};

const std::vector<int32_t> kFloats = {PRECIS_FLOAT32, PRECIS_BFLOAT16};

// A valid call under construction, and the memory that it uses. The code that breaks the call sees
// its args as bytes, so it exists once and not once for each operation.
class AnyCall {
 public:
  AnyCall(const AnyCall&) = delete;

  Argument& input(const char* name, precis_tensor& t, int32_t dtype, std::vector<int64_t> dims) {
    memory_.push_back(std::make_unique<GuardedTensor>(dtype, dims));
    GuardedTensor& made = *memory_.back();
    t = made;
    for (int64_t r = 0; r < rows(t); r++) {
      for (int64_t c = 0; c < columns(t); c++) {
        if (dtype == PRECIS_INT32) {
          row<int32_t>(t, r)[c] = 0;
        } else if (dtype == PRECIS_INT64) {
          row<int64_t>(t, r)[c] = 0;
        } else {
          store_element(t, r, c, 0.25 + 0.125 * static_cast<double>((r + c) % 3));
        }
      }
    }
    Argument& a = add(name, Kind::kTensor, &t, rows(t) * columns(t) * element_bytes(dtype));
    a.row_bytes = columns(t) * element_bytes(dtype);
    a.element = element_bytes(dtype);
    a.dtypes = {dtype};
    return a.ranks(t.rank, t.rank);
  }
  Argument& output(const char* name, precis_tensor& t, int32_t dtype, std::vector<int64_t> dims) {
    Argument& a = input(name, t, dtype, std::move(dims));
    a.written = true;
    return a;
  }

  Argument& packed(const char* name, precis_packed_matrix& m, int64_t outputs, int64_t inputs,
                   int32_t dtype = PRECIS_FLOAT32) {
    const GuardedTensor weight(PRECIS_FLOAT32, {outputs, inputs});
    std::fill_n(weight.data<float>(), outputs * inputs, 0.5f);
    precis_matmul_pack_args pack = {};
    pack.weights[0] = weight;
    pack.weight_count = 1;
    pack.dtype = dtype;
    EXPECT_OK(context_, precis_matmul_pack_size(context_, &pack, &pack.packed_bytes));
    memory_.push_back(
        std::make_unique<GuardedTensor>(PRECIS_UINT8, std::vector<int64_t>{1, pack.packed_bytes}));
    pack.packed = memory_.back()->data<void>();
    EXPECT_OK(context_, precis_matmul_pack(context_, &pack));
    m = {pack.packed, pack.packed_bytes, outputs, inputs, dtype, 0};
    Argument& a = add(name, Kind::kPacked, &m, m.bytes);
    a.row_bytes = m.bytes;
    a.element = 64;
    return a.allow(kFloats);
  }

  template <class T>
  Argument& array(const char* name, T*& pointer, std::vector<std::remove_const_t<T>> values) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    memory_.push_back(
        std::make_unique<GuardedTensor>(PRECIS_UINT8, std::vector<int64_t>{1, bytes}));
    std::memcpy(memory_.back()->data<void>(), values.data(), static_cast<size_t>(bytes));
    pointer = memory_.back()->data<T>();
    Argument& a = add(name, Kind::kArray, &pointer, bytes);
    a.row_bytes = bytes;
    a.element = alignof(T);
    return a;
  }
  template <class T>
  Argument& written_array(const char* name, T*& pointer, int64_t count) {
    Argument& a = array(name, pointer, std::vector<T>(static_cast<size_t>(count)));
    a.written = true;
    return a;
  }

  Argument& written_bytes(const char* name, void*& pointer, int64_t bytes, int64_t alignment) {
    memory_.push_back(
        std::make_unique<GuardedTensor>(PRECIS_UINT8, std::vector<int64_t>{1, bytes}));
    pointer = memory_.back()->data<void>();
    Argument& a = add(name, Kind::kArray, &pointer, bytes);
    a.row_bytes = bytes;
    a.element = alignment;
    a.written = true;
    return a;
  }

  const std::deque<Argument>& arguments() const { return arguments_; }
  // Returns the contents of all memory.
  std::vector<uint8_t> contents() const {
    std::vector<uint8_t> all;
    for (const auto& m : memory_) all.insert(all.end(), m->memory(), m->memory() + m->bytes());
    return all;
  }

  // Returns a copy of the args.
  std::vector<char> copy() const { return std::vector<char>(args_, args_ + size_); }

 protected:
  AnyCall(precis_context* context, const void* args, size_t size)
      : context_(context), args_(static_cast<const char*>(args)), size_(size) {}
  ~AnyCall() = default;

 private:
  Argument& add(const char* name, Kind kind, const void* member, int64_t bytes) {
    arguments_.push_back({});
    Argument& a = arguments_.back();
    a.name = name;
    a.kind = kind;
    a.offset = static_cast<size_t>(static_cast<const char*>(member) - args_);
    a.bytes = bytes;
    return a;
  }

  precis_context* context_;
  const char* args_;
  size_t size_;
  std::vector<std::unique_ptr<GuardedTensor>> memory_;
  std::deque<Argument> arguments_;
};

template <class Args>
class Call : public AnyCall {
 public:
  explicit Call(precis_context* context) : AnyCall(context, &args, sizeof args) {}

  Args args = {};
};

// ---------------------------------------------------------------- a valid call of each operation

void describe(Call<precis_zero_args>& c) {
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8})
      .ranks(1, 2)
      .allow({PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_UINT8, PRECIS_INT32,
              PRECIS_INT64, PRECIS_FLOAT16});
}

void describe(Call<precis_convert_args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 8}).ranks(1, PRECIS_MAX_RANK).allow(kFloats);
  c.output("y", c.args.y, PRECIS_BFLOAT16, {3, 8}).allow(kFloats);
}

void describe(Call<precis_add_args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
}

void describe(Call<precis_add_bias_args>& c) {
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.input("bias", c.args.bias, PRECIS_FLOAT32, {8});
}

void describe(Call<precis_bias_gradient_args>& c) {
  c.input("dy", c.args.dy, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.output("dbias", c.args.dbias, PRECIS_FLOAT32, {8});
}

void describe(Call<precis_dropout_args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).allow(kFloats).in_place_of("x");
  c.input("dropout_rows", c.args.dropout_rows, PRECIS_INT64, {3}).absent();
  c.args.probability = 0.5f;
}

void describe(Call<precis_embedding_args>& c) {
  c.input("table", c.args.table, PRECIS_FLOAT32, {5, 8}).allow(kFloats);
  c.input("ids", c.args.ids, PRECIS_INT32, {3});
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.input("y_rows", c.args.y_rows, PRECIS_INT32, {3}).absent();
}

void describe(Call<precis_embedding_backward_args>& c) {
  c.input("ids", c.args.ids, PRECIS_INT32, {3});
  c.input("dy", c.args.dy, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.output("dtable", c.args.dtable, PRECIS_FLOAT32, {5, 8});
}

template <class Args>
void describe_norm(Call<Args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 8});
  c.input("weight", c.args.weight, PRECIS_FLOAT32, {8});
}

void describe(Call<precis_rms_norm_args>& c) {
  describe_norm(c);
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
}

void describe(Call<precis_layer_norm_args>& c) {
  describe_norm(c);
  c.input("bias", c.args.bias, PRECIS_FLOAT32, {8});
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
}

template <class Args>
void describe_norm_backward(Call<Args>& c) {
  describe_norm(c);
  c.input("dy", c.args.dy, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.output("dx", c.args.dx, PRECIS_FLOAT32, {3, 8});
  c.output("dweight", c.args.dweight, PRECIS_FLOAT32, {8}).absent();
}

void describe(Call<precis_rms_norm_backward_args>& c) { describe_norm_backward(c); }

void describe(Call<precis_layer_norm_backward_args>& c) {
  describe_norm_backward(c);
  c.output("dbias", c.args.dbias, PRECIS_FLOAT32, {8}).absent();
}

void describe(Call<precis_activation_args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).allow(kFloats).in_place_of("x");
}

void describe(Call<precis_activation_backward_args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.input("dy", c.args.dy, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.output("dx", c.args.dx, PRECIS_FLOAT32, {3, 8}).allow(kFloats).in_place_of("dy");
}

void describe(Call<precis_softmax_args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 8});
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).in_place_of("x");
}

void describe(Call<precis_top_k_args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 8});
  c.output("values", c.args.values, PRECIS_FLOAT32, {3, 2});
  c.output("indices", c.args.indices, PRECIS_INT32, {3, 2});
}

void describe(Call<precis_matmul_pack_args>& c) {
  c.input("weights", c.args.weights[0], PRECIS_FLOAT32, {8, 16}).allow(kFloats);
  c.input("weights", c.args.weights[1], PRECIS_FLOAT32, {8, 16}).allow(kFloats);
  c.args.weight_count = 2;
  c.args.packed_bytes = kTileOutputs * 16 * 4;
  c.written_bytes("packed", c.args.packed, c.args.packed_bytes, 64);
}

void describe(Call<precis_transpose_packed_args>& c) {
  c.packed("w", c.args.w, 8, 16);
  c.packed("out", c.args.out, 16, 8).written = true;
}

template <class Args>
void describe_product(Call<Args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 16}).allow(kFloats);
  c.packed("w", c.args.w, 8, 16).allow({PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_INT4});
  c.output("y", c.args.y, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.args.alpha = 1;
}

void describe(Call<precis_matmul_args>& c) { describe_product(c); }

void describe(Call<precis_lora_matmul_args>& c) {
  describe_product(c);
  c.packed("a", c.args.a, 4, 16);
  c.packed("b", c.args.b, 8, 4);
  c.input("lora_x", c.args.lora_x, PRECIS_FLOAT32, {3, 16}).allow(kFloats).absent();
  c.output("down", c.args.down, PRECIS_FLOAT32, {3, 4}).absent();
  c.input("dropout_rows", c.args.dropout_rows, PRECIS_INT64, {3}).absent();
  c.args.segments[0] = {0, 8, 0, 4, 2, 0};
  c.args.segment_count = 1;
  c.array("row_adapters", c.args.row_adapters,
          {{1, 2, c.args.a, c.args.b, {{0, 8, 1, 3, 0.5f, 0}}, 1, 0}});
  c.args.row_adapter_count = 1;
}

void describe(Call<precis_weight_gradient_args>& c) {
  c.input("dy", c.args.dy, PRECIS_FLOAT32, {3, 8}).allow(kFloats);
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 16}).allow(kFloats);
  c.output("dw", c.args.dw, PRECIS_FLOAT32, {8, 16});
  c.args.alpha = 1;
}

template <class Args>
void describe_attention(Call<Args>& c, precis_attention_args& a, bool written) {
  c.input("q", a.q, PRECIS_FLOAT32, {4, 16}).allow(kFloats);
  c.input("k", a.k, PRECIS_FLOAT32, {5, 16});
  c.input("v", a.v, PRECIS_FLOAT32, {5, 16});
  c.input("out", a.out, PRECIS_FLOAT32, {4, 16}).allow(kFloats).written = written;
  c.input("bias", a.bias, PRECIS_FLOAT32, {8, 2}).absent();
  c.input("log_sum_exp", a.log_sum_exp, PRECIS_FLOAT32, {4, 2}).absent().written = written;
  c.input("dropout_rows", a.dropout_rows, PRECIS_INT64, {4}).absent();
  c.array("query_offsets", a.query_offsets, {0, 1, 4});
  c.array("key_offsets", a.key_offsets, {0, 2, 5});
  a.sequences = 2;
  a.heads = 2;
  a.max_distance = 16;
  a.scale = 1;
}

void describe(Call<precis_attention_args>& c) { describe_attention(c, c.args, true); }

void describe(Call<precis_attention_backward_args>& c) {
  describe_attention(c, c.args.forward, false);
  c.input("dout", c.args.dout, PRECIS_FLOAT32, {4, 16}).allow(kFloats);
  c.output("dq", c.args.dq, PRECIS_FLOAT32, {4, 16}).allow(kFloats);
  c.output("dk", c.args.dk, PRECIS_FLOAT32, {5, 16}).allow(kFloats);
  c.output("dv", c.args.dv, PRECIS_FLOAT32, {5, 16}).allow(kFloats);
  c.output("dbias", c.args.dbias, PRECIS_FLOAT32, {8, 2}).absent();
}

void describe(Call<precis_disentangled_attention_args>& c) {
  c.input("q", c.args.q, PRECIS_FLOAT32, {4, 16}).allow(kFloats);
  c.input("k", c.args.k, PRECIS_FLOAT32, {4, 16});
  c.input("v", c.args.v, PRECIS_FLOAT32, {4, 16});
  c.output("out", c.args.out, PRECIS_FLOAT32, {4, 16}).allow(kFloats);
  c.input("position_keys", c.args.position_keys, PRECIS_FLOAT32, {5, 16}).absent();
  c.input("position_queries", c.args.position_queries, PRECIS_FLOAT32, {5, 16}).absent();
  c.array("offsets", c.args.offsets, {0, 1, 4});
  c.args.sequences = 2;
  c.args.heads = 2;
  c.args.scale = 1;
}

void describe(Call<precis_attention_decode_args>& c) {
  c.input("q", c.args.q, PRECIS_FLOAT32, {2, 16}).allow(kFloats);
  c.input("k_new", c.args.k_new, PRECIS_FLOAT32, {2, 16}).absent();
  c.input("v_new", c.args.v_new, PRECIS_FLOAT32, {2, 16}).absent();
  c.output("k_cache", c.args.k_cache, PRECIS_FLOAT32, {8, 16});
  c.output("v_cache", c.args.v_cache, PRECIS_FLOAT32, {8, 16});
  c.output("out", c.args.out, PRECIS_FLOAT32, {2, 16}).allow(kFloats);
  c.input("bias", c.args.bias, PRECIS_FLOAT32, {8, 2}).absent();
  c.array("key_starts", c.args.key_starts, {0, 4}).absent();
  c.array("lengths", c.args.lengths, {2, 1});
  c.array("ancestors", c.args.ancestors, {0, 0, 0, 0, 1, 1, 1, 1}).absent();
  c.args.ancestor_stride = 4;
  c.args.slot_rows = 4;
  c.args.heads = 2;
  c.args.max_distance = 16;
  c.args.scale = 1;
}

template <class Args>
void describe_rules(Call<Args>& c) {
  precis_logit_rules& rules = c.args.rules;
  c.array("history", rules.history, {0, 1, 2, 7, 7, 7, 7, 7, 0, 1, 2, 7, 7, 7, 7, 7});
  c.array("history_lengths", rules.history_lengths, {3, 3});
  rules.history_stride = 8;
  c.array("end_tokens", rules.end_tokens, {1});
  rules.end_token_count = 1;
  rules.repetition_penalty = 1.5f;
  rules.no_repeat_ngram_size = 2;
  rules.min_new_tokens = 1;
  c.array("row_rules", rules.row_rules, {{1.5f, 2, 1, 0}, {1, 0, 0, 0}}).absent();
}

void describe(Call<precis_process_logits_args>& c) {
  c.output("scores", c.args.scores, PRECIS_FLOAT32, {2, 8});
  describe_rules(c);
}

void describe(Call<precis_sample_args>& c) {
  c.output("logits", c.args.logits, PRECIS_FLOAT32, {2, 8});
  describe_rules(c);
  c.array("streams", c.args.streams, {0, 1});
  c.array("offsets", c.args.offsets, {0, 1});
  c.array("row_sampling", c.args.row_sampling, {{7, 1, 4, 0.9f, 0}, {8, 1, 0, 1, 1}}).absent();
  c.args.temperature = 1;
  c.args.top_k = 4;
  c.args.top_p = 0.9f;
  c.written_array("tokens", c.args.tokens, 2);
  c.written_array("log_probabilities", c.args.log_probabilities, 2).absent();
  c.written_array("warped_log_probabilities", c.args.warped_log_probabilities, 2).absent();
  c.output("probabilities", c.args.probabilities, PRECIS_FLOAT32, {2, 8}).absent();
  c.written_array("next_ids", c.args.next_ids, 2).absent();
  c.written_array("next_lengths", c.args.next_lengths, 2).in_place_of("history_lengths");
  c.written_array("next_history", c.args.next_history, 16).in_place_of("history");
  c.written_array("next_offsets", c.args.next_offsets, 2).in_place_of("offsets");
}

template <class Args>
void describe_logits(Call<Args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {3, 16}).allow(kFloats);
  c.packed("w", c.args.w, 8, 16);
  c.packed("w_transposed", c.args.w_transposed, 16, 8).allow({PRECIS_FLOAT32});
  c.output("dx", c.args.dx, PRECIS_FLOAT32, {3, 16}).absent();
  c.output("dw", c.args.dw, PRECIS_FLOAT32, {8, 16}).absent();
  c.args.scale = 1;
}

void describe(Call<precis_linear_cross_entropy_args>& c) {
  describe_logits(c);
  c.input("labels", c.args.labels, PRECIS_INT32, {3});
  c.output("losses", c.args.losses, PRECIS_FLOAT32, {3});
  c.args.grad_scale = 1;
}

void describe(Call<precis_log_probability_args>& c) {
  describe_logits(c);
  c.input("labels", c.args.labels, PRECIS_INT32, {3});
  c.output("log_probabilities", c.args.log_probabilities, PRECIS_FLOAT32, {3});
  c.output("entropies", c.args.entropies, PRECIS_FLOAT32, {3}).absent();
  c.input("reference_x", c.args.reference_x, PRECIS_FLOAT32, {3, 16}).allow(kFloats);
  c.packed("reference_w", c.args.reference_w, 8, 16);
  c.output("divergences", c.args.divergences, PRECIS_FLOAT32, {3}).absent();
  c.input("dlog_probabilities", c.args.dlog_probabilities, PRECIS_FLOAT32, {3});
}

void describe(Call<precis_ppo_loss_args>& c) {
  describe_logits(c);
  c.input("actions", c.args.actions, PRECIS_INT32, {3});
  c.input("weights", c.args.weights, PRECIS_FLOAT32, {3});
  c.input("old_log_probabilities", c.args.old_log_probabilities, PRECIS_FLOAT32, {3});
  c.input("advantages", c.args.advantages, PRECIS_FLOAT32, {3});
  c.input("reference_log_probabilities", c.args.reference_log_probabilities, PRECIS_FLOAT32, {3});
  c.input("values", c.args.values, PRECIS_FLOAT32, {3});
  c.input("old_values", c.args.old_values, PRECIS_FLOAT32, {3});
  c.input("returns", c.args.returns, PRECIS_FLOAT32, {3});
  c.output("log_probabilities", c.args.log_probabilities, PRECIS_FLOAT32, {3});
  c.output("entropies", c.args.entropies, PRECIS_FLOAT32, {3});
  c.output("policy_losses", c.args.policy_losses, PRECIS_FLOAT32, {3});
  c.output("value_losses", c.args.value_losses, PRECIS_FLOAT32, {3}).absent();
  c.output("dvalues", c.args.dvalues, PRECIS_FLOAT32, {3}).absent();
  c.args.clip_range_low = c.args.clip_range_high = c.args.clip_range_value = 0.2f;
  c.args.kl_coefficient = 0.1f;
}

void describe(Call<precis_distillation_loss_args>& c) {
  describe_logits(c);
  c.input("labels", c.args.labels, PRECIS_INT32, {3});
  c.input("teacher_x", c.args.teacher_x, PRECIS_FLOAT32, {3, 24}).allow(kFloats);
  c.packed("teacher_w", c.args.teacher_w, 8, 24);
  c.output("divergences", c.args.divergences, PRECIS_FLOAT32, {3});
  c.output("cross_entropies", c.args.cross_entropies, PRECIS_FLOAT32, {3});
  c.args.teacher_scale = 1;
  c.args.temperature = 1;
  c.args.beta = 0.5f;
  c.args.divergence_weight = 1;
}

void describe(Call<precis_sum_of_squares_args>& c) {
  c.input("x", c.args.x, PRECIS_FLOAT32, {8});
  c.written_array("result", c.args.result, 1);
}

void describe(Call<precis_adam_args>& c) {
  c.output("parameter", c.args.parameter, PRECIS_FLOAT32, {8});
  c.input("gradient", c.args.gradient, PRECIS_FLOAT32, {8});
  c.output("m", c.args.m, PRECIS_FLOAT32, {8});
  c.output("v", c.args.v, PRECIS_FLOAT32, {8});
  c.args.step = 1;
  c.args.epsilon = 1e-8f;
}

void describe(Call<precis_sgd_args>& c) {
  c.output("parameter", c.args.parameter, PRECIS_FLOAT32, {8});
  c.input("gradient", c.args.gradient, PRECIS_FLOAT32, {8});
  c.output("buffer", c.args.buffer, PRECIS_FLOAT32, {8});
  c.args.step = 1;
  c.args.momentum = 0.9f;
}

void describe(Call<precis_adafactor_args>& c) {
  c.output("parameter", c.args.parameter, PRECIS_FLOAT32, {3, 8}).ranks(1, 2);
  c.input("gradient", c.args.gradient, PRECIS_FLOAT32, {3, 8});
  c.output("row", c.args.row, PRECIS_FLOAT32, {3});
  c.output("column", c.args.column, PRECIS_FLOAT32, {8});
  c.args.step = 1;
  c.args.clip_threshold = 1;
}

// ---------------------------------------------------------------- breaking it

// Returns true if text contains name as a word.
bool names(const std::string& text, const std::string& name) {
  auto part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || !part(text[at - 1])) && (end == text.size() || !part(text[end]))) return true;
  }
  return false;
}

// Returns every tensor, packed matrix and pointer in the args of an operation, as precis.h declares
// them.
std::vector<std::string> members(const std::string& header, const std::string& structure) {
  const size_t begin = header.find("typedef struct " + structure + " {");
  EXPECT(begin != std::string::npos, "precis.h has no %s", structure.c_str());
  if (begin == std::string::npos) return {};
  std::istringstream body(header.substr(begin, header.find("\n}", begin) - begin));
  const std::regex member(R"(^  (const )?(\w+)(\*?) (\w+)(\[\w+\])?;.*)");
  std::vector<std::string> found;
  std::smatch match;
  for (std::string line; std::getline(body, line);) {
    if (!std::regex_match(line, match, member)) continue;
    const std::string type = match[2];
    if (match[3] == "*" || type == "precis_tensor" || type == "precis_packed_matrix") {
      found.push_back(match[4]);
    } else if (type == "precis_attention_args" || type == "precis_logit_rules") {
      for (const std::string& inner : members(header, type)) found.push_back(inner);
    }
  }
  return found;
}

class Border {
 public:
  using Run = std::function<precis_status(const void* args)>;
  using Change = std::function<void(char* args)>;

  Border(precis_context* context, const char* op, const AnyCall& call, Run run)
      : context_(context), op_(op), call_(call), valid_(call.copy()), run_(std::move(run)) {}

  void cross(const std::string& header) {
    EXPECT_OK(context_, run_(valid_.data()));
    const std::vector<std::string> wanted = members(header, "precis_" + std::string(op_) + "_args");
    for (const std::string& name : wanted) {
      const auto& all = call_.arguments();
      EXPECT(std::any_of(all.begin(), all.end(), [&](auto& a) { return a.name == name; }),
             "%s: the call here does not use %s", op_, name.c_str());
    }
    before_ = call_.contents();
    for (const Argument& a : call_.arguments()) {
      if (a.kind == Kind::kTensor) break_tensor(a);
      if (a.kind == Kind::kPacked) break_packed(a);
      break_pointer(a);
      for (const Argument& other : call_.arguments()) {
        if (a.written && &a != &other) break_overlap(a, other);
      }
    }
    EXPECT(call_.contents() == before_, "%s: a refused call wrote something", op_);
    for (const Argument& a : call_.arguments()) leave_out(a);
    for (const Argument& a : call_.arguments()) {
      if (!a.may_be.empty()) run_in_place(a);
    }
    EXPECT_OK(context_, run_(valid_.data()));
  }

 private:
  template <class T>
  static T& at(char* args, const Argument& a) {
    return *reinterpret_cast<T*>(args + a.offset);
  }
  // The pointer is the first member of tensors and of packed matrices.
  static char*& pointer(char* args, const Argument& a) { return at<char*>(args, a); }
  static_assert(offsetof(precis_tensor, data) == 0 && offsetof(precis_packed_matrix, data) == 0);

  // The changed call must be refused with a message that names all of these.
  void refuse(const Change& change, const std::vector<std::string>& named, const char* how,
              int64_t value) {
    std::vector<char> args = valid_;
    change(args.data());
    const precis_status status = run_(args.data());
    const std::string said = precis_last_error(context_);
    EXPECT(status == PRECIS_INVALID_ARGUMENT, "%s: %s %s %lld: status %d", op_, named[0].c_str(),
           how, static_cast<long long>(value), status);
    EXPECT(said.rfind(std::string(op_) + ": ", 0) == 0, "%s: said: %s", op_, said.c_str());
    for (const std::string& name : named) {
      EXPECT(names(said, name), "%s: %s %s %lld: %s is not in: %s", op_, named[0].c_str(), how,
             static_cast<long long>(value), name.c_str(), said.c_str());
    }
  }

  void break_tensor(const Argument& a) {
    auto change = [&](auto member, auto value, const char* how) {
      refuse([&](char* args) { member(at<precis_tensor>(args, a)) = value; }, {a.name}, how,
             static_cast<int64_t>(value));
    };
    auto rank = [](precis_tensor& t) -> int32_t& { return t.rank; };
    for (int32_t r : {INT32_MIN, -1, 0, 1, 2, 3, 4, 5, 100, INT32_MAX}) {
      if (r < a.least_rank || r > a.most_rank) change(rank, r, "with rank");
    }
    auto dtype = [](precis_tensor& t) -> int32_t& { return t.dtype; };
    for (int32_t d : {INT32_MIN, -1, 0, 1, 2, 3, 4, 5, 6, 7, 31, 32, 33, 64, INT32_MAX}) {
      if (std::count(a.dtypes.begin(), a.dtypes.end(), d) == 0) change(dtype, d, "with dtype");
    }
    const precis_tensor& t = at<precis_tensor>(valid_.data(), a);
    for (int i = 0; i < t.rank; i++) {
      auto dim = [i](precis_tensor& u) -> int64_t& { return u.dims[i]; };
      for (int64_t n : {INT64_MIN, int64_t{-1}, (int64_t{1} << 48) + 1, INT64_MAX}) {
        change(dim, n, "with a dim of");
      }
    }
    for (int64_t n : {int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 62, INT64_MAX}) {
      if (t.rank < 2) break;
      refuse(
          [&](char* args) {
            for (int i = 0; i < t.rank; i++) at<precis_tensor>(args, a).dims[i] = n;
          },
          {a.name}, "with all dims", n);
    }
    auto stride = [](precis_tensor& u) -> int64_t& { return u.row_stride; };
    for (int64_t n : {INT64_MIN, int64_t{-1}, columns(t) - 1, int64_t{1} << 48, INT64_MAX}) {
      if (t.rank >= 2) change(stride, n, "with a stride of");
    }
  }

  void break_packed(const Argument& a) {
    auto change = [&](auto member, auto value, const char* how) {
      refuse([&](char* args) { member(at<precis_packed_matrix>(args, a)) = value; }, {a.name}, how,
             static_cast<int64_t>(value));
    };
    for (int32_t d : {INT32_MIN, -1, 0, 1, 2, 3, 4, 5, 6, 7, 32, 64, INT32_MAX}) {
      if (std::count(a.dtypes.begin(), a.dtypes.end(), d) > 0) continue;
      change([](precis_packed_matrix& m) -> int32_t& { return m.dtype; }, d, "with dtype");
    }
    for (int64_t n : {INT64_MIN, int64_t{-1}, int64_t{0}, int64_t{1} << 46, INT64_MAX}) {
      change([](precis_packed_matrix& m) -> int64_t& { return m.outputs; }, n, "with outputs");
      change([](precis_packed_matrix& m) -> int64_t& { return m.inputs; }, n, "with inputs");
    }
    for (int64_t n : {INT64_MIN, int64_t{-1}, int64_t{0}, a.bytes - 1}) {
      change([](precis_packed_matrix& m) -> int64_t& { return m.bytes; }, n, "with bytes");
    }
  }

  void break_pointer(const Argument& a) {
    if (!a.optional) {
      refuse([&](char* args) { pointer(args, a) = nullptr; }, {a.name}, "NULL", 0);
    }
    for (int64_t off = 1; off < a.element; off *= 2) {
      if (a.name == "key_starts") break;  // not looked at beside ancestors
      refuse([&](char* args) { pointer(args, a) += off; }, {a.name, "aligned"}, "moved by", off);
    }
  }

  void break_overlap(const Argument& a, const Argument& other) {
    if (other.name == "key_starts") return;
    auto move = [&](int64_t by, const char* how) {
      refuse([&](char* args) { pointer(args, a) = pointer(args, other) + by; },
             {a.name, other.name, "overlaps"}, how, by);
    };
    if (a.may_be != other.name) move(0, "at the start of another");
    const int64_t element = std::max(a.element, other.element);
    const int64_t last = (other.row_bytes - element) / element * element;
    if (last > 0) move(last, "inside another");
  }

  // An optional argument may be left out, whatever the other fields of its struct say. The call may
  // then be incomplete, but it must not crash.
  void leave_out(const Argument& a) {
    if (!a.optional) return;
    std::vector<char> args = valid_;
    if (a.kind == Kind::kTensor)
      at<precis_tensor>(args.data(), a) = {nullptr, {-1, -1}, -1, 100, 77};
    pointer(args.data(), a) = nullptr;
    const precis_status status = run_(args.data());
    EXPECT(status == PRECIS_OK || status == PRECIS_INVALID_ARGUMENT, "%s without %s: status %d",
           op_, a.name.c_str(), status);
  }

  void run_in_place(const Argument& a) {
    for (const Argument& input : call_.arguments()) {
      if (input.name != a.may_be) continue;
      std::vector<char> args = valid_;
      if (a.kind == Kind::kTensor) {
        at<precis_tensor>(args.data(), a) = at<precis_tensor>(args.data(), input);
      } else {
        pointer(args.data(), a) = pointer(args.data(), input);
      }
      EXPECT_OK(context_, run_(args.data()));
    }
  }

  precis_context* context_;
  const char* op_;
  const AnyCall& call_;
  std::vector<char> valid_;
  Run run_;
  std::vector<uint8_t> before_;
};

}  // namespace

int main() {
  TestContext context(nullptr, 1);
  EXPECT(context.status() == PRECIS_OK, "%s", context.error().c_str());
  std::ifstream file(PRECIS_HEADER);
  std::stringstream header;
  header << file.rdbuf();
  EXPECT(file.good(), "%s cannot be read", PRECIS_HEADER);
#define PRECIS_CROSS(op)                                                         \
  {                                                                              \
    Call<precis_##op##_args> call(context);                                      \
    describe(call);                                                              \
    Border(context, #op, call, [&](const void* args) {                           \
      return precis_##op(context, static_cast<const precis_##op##_args*>(args)); \
    }).cross(header.str());                                                      \
  }
  PRECIS_FOR_EACH_OP(PRECIS_CROSS)
#undef PRECIS_CROSS
  return test_result();
}
