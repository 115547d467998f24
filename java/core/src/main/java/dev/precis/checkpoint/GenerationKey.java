package dev.precis.checkpoint;

import static dev.precis.checkpoint.GenerationKey.Treatment.FOLLOWED;
import static dev.precis.checkpoint.GenerationKey.Treatment.NAMED;
import static dev.precis.checkpoint.GenerationKey.Treatment.NO_EFFECT;

import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * A key of {@code generation_config.json}, as transformers 5.17 publishes them, and its treatment.
 *
 * @param name as it stands in the file
 * @param note the meaning for this engine, in one phrase, for the documentation
 */
public record GenerationKey(String name, Treatment treatment, String note) {
  /** Treatments of a key. */
  public enum Treatment {
    /** Generation does what the key says. */
    FOLLOWED,
    /** Results are the same whatever the key says. */
    NO_EFFECT,
    /** Results may differ from transformers': a value other than the default is named in a note. */
    NAMED
  }

  private static final String ASSISTED = "assisted generation changes the speed, not the tokens";
  private static final String LOOKUP = ASSISTED + "; `--draft lookup` asks for it here";
  private static final String CACHE = "keys and values are always cached";
  private static final String OUTPUT = "shapes what transformers returns, not the tokens";
  private static final String METADATA = "metadata";
  private static final String HUB = "transformers runs it from code on the hub only";

  /** Every published key, in the order of the documentation. */
  public static final List<GenerationKey> ALL =
      List.of(
          key("decoder_start_token_id", FOLLOWED, "one token, in training and alignment too"),
          key("bos_token_id", FOLLOWED, "starts the decoder where there is no start token"),
          key("eos_token_id", FOLLOWED, "a token or a list, in training and alignment too"),
          key("pad_token_id", NO_EFFECT, "sequences are never padded"),
          key("max_length", FOLLOWED, "new tokens and the start token; max_new_tokens wins"),
          key("max_new_tokens", FOLLOWED, "--max-new-tokens"),
          key("min_length", FOLLOWED, "counts the start token; min_new_tokens wins"),
          key("min_new_tokens", FOLLOWED, "--min-new-tokens"),
          key("num_beams", FOLLOWED, "--num-beams"),
          key("length_penalty", FOLLOWED, "--length-penalty"),
          key("early_stopping", FOLLOWED, "true, false or \"never\"; --early-stopping"),
          key("num_return_sequences", FOLLOWED, "--num-return-sequences"),
          key("do_sample", FOLLOWED, "--sample, --no-sample; refused together with beams"),
          key("temperature", FOLLOWED, "where tokens are sampled; --temperature"),
          key("top_k", FOLLOWED, "where tokens are sampled; --top-k"),
          key("top_p", FOLLOWED, "where tokens are sampled; --top-p"),
          key("repetition_penalty", FOLLOWED, "--repetition-penalty"),
          key("no_repeat_ngram_size", FOLLOWED, "--no-repeat-ngram-size"),
          key("encoder_no_repeat_ngram_size", FOLLOWED, "no n-gram of the source is generated"),
          key("encoder_repetition_penalty", FOLLOWED, "favors the source's tokens, in every beam"),
          key("bad_words_ids", FOLLOWED, "sequences that are not generated"),
          key("sequence_bias", FOLLOWED, "added to the score of a token that ends the sequence"),
          key("suppress_tokens", FOLLOWED, "tokens that are not generated"),
          key("begin_suppress_tokens", FOLLOWED, "tokens that do not come first"),
          key("forced_bos_token_id", FOLLOWED, "the first new token"),
          key("forced_eos_token_id", FOLLOWED, "the last token where the length ends; or a list"),
          key("exponential_decay_length_penalty", FOLLOWED, "raises the end tokens' scores"),
          key("renormalize_logits", FOLLOWED, "changes the scores of beams"),
          key("remove_invalid_values", NO_EFFECT, "an invalid value is an error here"),
          key("min_p", NAMED, "sampling warper"),
          key("top_h", NAMED, "sampling warper"),
          key("typical_p", NAMED, "sampling warper"),
          key("epsilon_cutoff", NAMED, "sampling warper"),
          key("eta_cutoff", NAMED, "sampling warper"),
          key("guidance_scale", NAMED, "classifier-free guidance"),
          key("watermarking_config", NAMED, "watermarks"),
          key("token_healing", NAMED, "changes the prompt"),
          key("stop_strings", NAMED, "texts that end a result"),
          key("max_time", NAMED, "see --timeout, which gives no partial result"),
          key("penalty_alpha", NAMED, HUB),
          key("dola_layers", NAMED, HUB),
          key("diversity_penalty", NAMED, HUB),
          key("num_beam_groups", NAMED, HUB),
          key("constraints", NAMED, HUB),
          key("force_words_ids", NAMED, HUB),
          key("assistant_ensemble_weight", NAMED, "assisted generation that changes the tokens"),
          key("use_mtp", NO_EFFECT, "no T5 predicts several tokens at once"),
          key("low_memory", NO_EFFECT, HUB),
          key("prefill_chunk_size", NO_EFFECT, "the decoder's prompt is one token"),
          key("use_cache", NO_EFFECT, CACHE),
          key("cache_implementation", NO_EFFECT, CACHE),
          key("cache_config", NO_EFFECT, CACHE),
          key("max_cache_len", NO_EFFECT, CACHE),
          key("compile_config", NO_EFFECT, "nothing is compiled"),
          key("disable_compile", NO_EFFECT, "nothing is compiled"),
          key("continuous_batching_config", NO_EFFECT, "a server's setting"),
          key("output_attentions", NO_EFFECT, OUTPUT),
          key("output_hidden_states", NO_EFFECT, OUTPUT),
          key("output_scores", NO_EFFECT, OUTPUT),
          key("output_logits", NO_EFFECT, OUTPUT),
          key("return_dict_in_generate", NO_EFFECT, OUTPUT),
          key("is_assistant", NO_EFFECT, ASSISTED),
          key("num_assistant_tokens", NO_EFFECT, ASSISTED),
          key("num_assistant_tokens_schedule", NO_EFFECT, ASSISTED),
          key("assistant_confidence_threshold", NO_EFFECT, ASSISTED),
          key("prompt_lookup_num_tokens", NO_EFFECT, LOOKUP),
          key("max_matching_ngram_size", NO_EFFECT, LOOKUP),
          key("assistant_early_exit", NO_EFFECT, ASSISTED),
          key("assistant_lookbehind", NO_EFFECT, ASSISTED),
          key("target_lookbehind", NO_EFFECT, ASSISTED),
          key("speculation_type", NO_EFFECT, ASSISTED),
          key("_from_model_config", NO_EFFECT, METADATA),
          key("_commit_hash", NO_EFFECT, METADATA),
          key("transformers_version", NO_EFFECT, METADATA));

  private static final Map<String, GenerationKey> BY_NAME =
      ALL.stream().collect(Collectors.toMap(GenerationKey::name, Function.identity()));

  private static GenerationKey key(String name, Treatment treatment, String note) {
    return new GenerationKey(name, treatment, note);
  }

  /** Returns the key of this name, or null where transformers publishes none. */
  public static GenerationKey of(String name) {
    return BY_NAME.get(name);
  }
}
