package dev.precis.text;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The published keys of the files beside a tokenizer, and what each does here. The page
 * docs/files.md prints the same table.
 */
final class KeyTable {
  /** Ways to treat a key. */
  enum Treatment {
    /** It changes the tokenizer as it does in transformers. */
    FOLLOWED,
    /** It changes no id and no text, here or in transformers. */
    WITHOUT_EFFECT,
    /** It would change something and is not followed: a warning names it. */
    NOTED
  }

  /**
   * A key.
   *
   * @param harmless for {@code NOTED}: the value, as JSON, that asks for nothing special
   */
  record Entry(String key, Treatment treatment, String harmless, String remark) {}

  /** The keys of {@code tokenizer_config.json}. */
  static final Map<String, Entry> TOKENIZER_CONFIG =
      table(
          followed("added_tokens_decoder", "added tokens by id, with their flags"),
          followed("extra_ids", "number of <extra_id_N> beside spiece.model and for ByT5"),
          followed("additional_special_tokens", "special tokens; new ones are numbered on"),
          followed("extra_special_tokens", "the newer name of additional_special_tokens"),
          followed("bos_token", "special token"),
          followed("eos_token", "special token; it ends a text"),
          followed("unk_token", "special token; it stands for unknown text"),
          followed("sep_token", "special token"),
          followed("pad_token", "special token; it fills the rows of a batch"),
          followed("cls_token", "special token"),
          followed("mask_token", "special token"),
          followed("add_prefix_space", "byte-level BPE: a text starts with a space"),
          followed("clean_up_tokenization_spaces", "Unigram and ByT5: no space before . , ? ! n't"),
          followed(
              "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
              "the same for byte-level BPE"),
          followed("split_special_tokens", "special tokens in a text are text"),
          followed("tokenizer_class", "ByT5Tokenizer needs no other file; others name the files"),
          followed("model_max_length", "where a classifier cuts its texts"),
          followed("strip_accents", "BERT's tokenizer: accents are taken off"),
          followed("tokenize_chinese_chars", "BERT's tokenizer: each is a word"),
          noted("truncation_side", "\"right\"", "texts are cut at their end"),
          noted("errors", "\"replace\"", "bytes that are no UTF-8 become U+FFFD"),
          noted("do_lower_case", "false", "followed for BERT's tokenizer; others keep capitals"),
          noted("add_bos_token", "false", "the post-processor decides"),
          noted("add_eos_token", "true", "the post-processor decides"),
          noted("fix_mistral_regex", "false", "it belongs to another model's tokenizer"),
          without("do_basic_tokenize", "transformers 5 does not read it"),
          without("never_split", "the same"),
          without("legacy", "transformers 5 reads it no more; a tokenizer.json has its effect"),
          without("split_by_punct", "DeBERTa's: a tokenizer.json has its effect"),
          without("vocab_type", "DeBERTa's: the files decide"),
          without("unk_id", "the same"),
          without("sp_model_kwargs", "transformers 5 does not run SentencePiece itself"),
          without("from_slow", "it says how the files were made"),
          without("use_fast", "it chooses between two programs with the same result"),
          without("backend", "the same"),
          without("padding_side", "the attention mask covers the padding"),
          without("pad_to_multiple_of", "the same"),
          without("padding", "the caller pads"),
          without("pad_token_type_id", "nothing is padded"),
          without("token_type_ids_pattern", "the same"),
          without("token_type_ids_include_special_tokens", "the same"),
          without("special_tokens_pattern", "it is for masks in training data"),
          without("max_length", "the caller sets the length"),
          without("max_len", "the same"),
          without("truncation", "the same"),
          without("truncation_strategy", "it is for pairs of texts"),
          without("stride", "texts are not cut into windows"),
          without("trim_offsets", "it moves offsets, not ids"),
          without("spaces_between_special_tokens", "transformers 5 does not read it for T5"),
          without("model_input_names", "it names the tensors that transformers makes"),
          without("return_token_type_ids", "the same"),
          without("return_tensors", "the same"),
          without("verbose", "it is about transformers' messages"),
          without("chat_template", "prompts are made by --template"),
          without("response_template", "the same"),
          without("name_or_path", "it says where the files came from"),
          without("tokenizer_file", "the same"),
          without("vocab_file", "the same"),
          without("merges_file", "the same"),
          without("special_tokens_map_file", "the same"),
          without("is_local", "the same"),
          without("local_files_only", "the same"),
          without("auto_map", "no program of a folder is run"),
          without("processor_class", "it is for images and sound"),
          without("init_inputs", "it holds nothing for these tokenizers"),
          without("model_specific_special_tokens", "they are in added_tokens_decoder as well"),
          without("transformers_version", "it says which version saved the folder"));

  /** The keys of {@code special_tokens_map.json}, which counts without added_tokens_decoder. */
  static final Map<String, Entry> SPECIAL_TOKENS_MAP =
      table(
          followed("bos_token", "special token"),
          followed("eos_token", "special token; it ends a text"),
          followed("unk_token", "special token; it stands for unknown text"),
          followed("sep_token", "special token"),
          followed("pad_token", "special token; it fills the rows of a batch"),
          followed("cls_token", "special token"),
          followed("mask_token", "special token"),
          followed("additional_special_tokens", "special tokens; new ones are numbered on"),
          followed("extra_special_tokens", "the newer name of additional_special_tokens"));

  private KeyTable() {}

  private static Entry followed(String key, String remark) {
    return new Entry(key, Treatment.FOLLOWED, null, remark);
  }

  private static Entry without(String key, String remark) {
    return new Entry(key, Treatment.WITHOUT_EFFECT, null, remark);
  }

  private static Entry noted(String key, String harmless, String remark) {
    return new Entry(key, Treatment.NOTED, harmless, remark);
  }

  private static Map<String, Entry> table(Entry... entries) {
    Map<String, Entry> table = new LinkedHashMap<>();
    for (Entry entry : List.of(entries)) {
      table.put(entry.key(), entry);
    }
    return table;
  }
}
