#include "ops/process_logits.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(6);
  for (TestContext& context : all_contexts()) {
    for (int64_t v : {1, 2, 7, 257, 5000}) {
      for (int64_t m : {1, 3, 40}) {
        for (int32_t ngram : {0, 1, 2, 3, 5}) {
          for (float penalty : {1.0f, 1.4f, 0.7f}) {
            // The history has few distinct tokens, so that they and their n-grams repeat.
            const int64_t stride = 67, distinct = v < 4 ? v : 4;
            std::vector<int32_t> history(m * stride, -5), lengths(m);
            for (int64_t r = 0; r < m; r++) {
              lengths[r] = static_cast<int32_t>(r % 5 == 4 ? r % 3 : random.below(stride + 1));
              for (int32_t h = 0; h < lengths[r]; h++) {
                history[r * stride + h] =
                    static_cast<int32_t>(random.below(distinct) * v / distinct);
              }
            }
            const int32_t end_tokens[] = {0, static_cast<int32_t>(v - 1)};
            precis_logit_rules rules = {};
            rules.history = history.data();
            rules.history_lengths = lengths.data();
            rules.history_stride = stride;
            rules.end_tokens = end_tokens;
            rules.end_token_count = 2;
            rules.repetition_penalty = penalty;
            rules.no_repeat_ngram_size = ngram;
            rules.min_new_tokens = m == 3 ? 20 : 0;
            std::vector<precis_row_rules> of_rows(m);
            for (int64_t r = 0; r < m; r++) {
              of_rows[r] = {r % 3 == 0 ? 1 : penalty, r % 4 == 1 ? ngram : 0, r % 5 == 2 ? 30 : 0,
                            0};
            }
            if (m == 40) rules.row_rules = of_rows.data();
            GuardedTensor scores(PRECIS_FLOAT32, {m, v}, 3, 1), want(PRECIS_FLOAT32, {m, v});
            scores.fill_normal(random, 3);
            row<float>(scores, 0)[0] = -INFINITY;
            row<float>(scores, 0)[v / 2] = 0;
            for (int64_t r = 0; r < m; r++) {
              std::memcpy(row<float>(want, r), row<float>(scores, r), v * sizeof(float));
            }
            precis_process_logits_args args = {scores, rules};
            EXPECT_OK(context, precis_process_logits(context, &args));
            EXPECT(scores.intact());
            args.scores = want;
            process_logits_ref(args);
            expect_close(scores, want, 0, 0, context.name());
          }
        }
      }
    }

    GuardedTensor scores(PRECIS_FLOAT32, {2, 8});
    scores.fill(1);
    int32_t history[] = {1, 2, 3, 4, 5, 8}, lengths[] = {3, 2}, end_tokens[] = {7};
    precis_process_logits_args args = {scores,
                                       {history, lengths, 3, end_tokens, 1, 2.0f, 0, 0, nullptr}};
    EXPECT_OK(context, precis_process_logits(context, &args));
    EXPECT(scores.at(0, 1) == 0.5f && scores.at(1, 5) == 0.5f && scores.at(0, 4) == 1);
    lengths[1] = 3;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "history[1, 2] is 8");
    EXPECT(scores.at(0, 1) == 0.5f, "refused, and yet a row was changed");
    lengths[1] = 4;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "history_lengths[1] is 4");
    lengths[1] = -1;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "history_lengths[1] is -1");
    lengths[1] = 0;
    args.rules.repetition_penalty = 0;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "repetition_penalty is 0");
    args.rules.repetition_penalty = NAN;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "repetition_penalty is ");
    args.rules.repetition_penalty = 2;
    args.rules.no_repeat_ngram_size = -2;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "no_repeat_ngram_size is -2");
    args.rules.no_repeat_ngram_size = 0;
    end_tokens[0] = 8;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "end_tokens[0] is 8");
    end_tokens[0] = 7;
    precis_row_rules of_rows[] = {{1, 0, 0, 0}, {1, -3, 0, 0}};
    args.rules.row_rules = of_rows;
    EXPECT_REFUSED(context, precis_process_logits(context, &args),
                   "row_rules[1]: no_repeat_ngram_size is -3");
    of_rows[1] = {-1, 0, 0, 0};
    EXPECT_REFUSED(context, precis_process_logits(context, &args),
                   "row_rules[1]: repetition_penalty is -1");
    of_rows[1] = {1, 0, -1, 0};
    EXPECT_REFUSED(context, precis_process_logits(context, &args),
                   "row_rules[1]: min_new_tokens is -1");
    args.rules.row_rules = nullptr;
    args.rules.history = nullptr;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "history is NULL");
    args.rules.history_lengths = nullptr;
    EXPECT_REFUSED(context, precis_process_logits(context, &args), "history_lengths is NULL");
  }
  return test_result();
}
