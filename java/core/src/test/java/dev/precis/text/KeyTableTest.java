package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** Every published key is followed, known to be without effect, or named in a warning. */
class KeyTableTest {
  /** Keys that transformers 4 and 5 write into tokenizer_config.json for T5, ByT5 and RoBERTa. */
  private static final Set<String> PUBLISHED =
      Set.of(
          "add_bos_token",
          "add_eos_token",
          "add_prefix_space",
          "added_tokens_decoder",
          "additional_special_tokens",
          "auto_map",
          "backend",
          "bos_token",
          "chat_template",
          "clean_up_tokenization_spaces",
          "cls_token",
          "do_lower_case",
          "eos_token",
          "errors",
          "extra_ids",
          "extra_special_tokens",
          "from_slow",
          "is_local",
          "legacy",
          "local_files_only",
          "mask_token",
          "max_length",
          "merges_file",
          "model_input_names",
          "model_max_length",
          "model_specific_special_tokens",
          "name_or_path",
          "pad_to_multiple_of",
          "pad_token",
          "pad_token_type_id",
          "padding_side",
          "processor_class",
          "response_template",
          "sep_token",
          "sp_model_kwargs",
          "spaces_between_special_tokens",
          "special_tokens_map_file",
          "split_special_tokens",
          "stride",
          "tokenizer_class",
          "tokenizer_file",
          "trim_offsets",
          "truncation_side",
          "truncation_strategy",
          "unk_token",
          "use_fast",
          "vocab_file");

  private static final Set<String> PUBLISHED_IN_MAP =
      Set.of(
          "bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token",
          "additional_special_tokens",
          "extra_special_tokens");

  @Test
  void everyPublishedKeyIsKnown() {
    Set<String> unknown = new TreeSet<>(PUBLISHED);
    unknown.removeAll(KeyTable.TOKENIZER_CONFIG.keySet());
    assertEquals(Set.of(), unknown);
    assertEquals(PUBLISHED_IN_MAP, KeyTable.SPECIAL_TOKENS_MAP.keySet());
  }

  @Test
  void thePageSaysTheSame() throws IOException {
    String page = Files.readString(Path.of("../../docs/files.md"));
    for (Map<String, KeyTable.Entry> table :
        List.of(KeyTable.TOKENIZER_CONFIG, KeyTable.SPECIAL_TOKENS_MAP)) {
      for (KeyTable.Entry entry : table.values()) {
        String treatment = entry.treatment().name().toLowerCase(Locale.ROOT).replace('_', ' ');
        String row = "| `%s` | %s | %s |".formatted(entry.key(), treatment, entry.remark());
        assertTrue(page.contains(row), row);
      }
    }
  }
}
