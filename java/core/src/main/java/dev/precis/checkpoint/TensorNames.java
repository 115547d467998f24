package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Resolves the names under which programs save a model's tensors to the names that transformers
 * gives them.
 *
 * <p>It removes the wrappers' segments ({@code module.}, {@code _orig_mod.}), any prefix before a
 * name that the model has ({@code pretrained_model.}, {@code transformer.}), and the old spelling
 * {@code LayerNorm.gamma}; it adds {@code roberta.} or its like where an encoder was saved alone;
 * and it finds the embedding of a T5 under each of the names that share it. Two tensors that come
 * to one name must have the same contents.
 */
public final class TensorNames {
  /** Segments that wrappers of PyTorch put into names; no model has a layer named so. */
  private static final Set<String> WRAPPERS =
      Set.of(
          "module",
          "_orig_mod",
          "_fsdp_wrapped_module",
          "_checkpoint_wrapped_module",
          "_forward_module");

  /** No wrapper nests deeper than this many segments before a name. */
  private static final int MAX_PREFIX_SEGMENTS = 12;

  private static final int SHOWN = 100;
  private static final String SHARED = "shared.weight";
  private static final String HEAD = "lm_head.weight";

  /** The names of the embedding where {@code shared.weight} is missing. */
  private static final List<String> EMBEDDINGS =
      List.of("encoder.embed_tokens.weight", "decoder.embed_tokens.weight");

  private static final Pattern OLD_NORM =
      Pattern.compile("(?<norm>LayerNorm|layer_norm)\\.(?<old>gamma|beta)$");

  /** Names of an unmerged PEFT model that was saved whole. */
  private static final Pattern PEFT_WHOLE =
      Pattern.compile("\\.(?:lora_(?:A|B|magnitude_vector|embedding_[AB])|modules_to_save)\\.");

  /** Counters of profilers, and the positions 0, 1, 2... */
  private static final String ANY_HARMLESS = "(?:.*\\.)?(?:total_ops|total_params|position_ids)|";

  /** The beginning of a layer's name in a T5. */
  private static final Pattern T5_LAYER =
      Pattern.compile(
          "(?:^|\\.)(?<layer>(?:encoder|decoder)\\.(?:block\\.\\d|final_layer_norm\\.|embed_tokens\\.)"
              + "|lm_head\\.|shared\\.)");

  /** Tensors of an encoder of BERT's kind, behind the model's own name. */
  private static final String BERT_ENCODER =
      "embeddings\\.(?:word_embeddings|position_embeddings|token_type_embeddings|LayerNorm)\\.\\w+"
          + "|embeddings\\.position_ids"
          + "|encoder\\.layer\\.\\d{1,4}\\.(?:attention|intermediate|output)\\.[A-Za-z0-9_.]+"
          + "|pooler\\.dense\\.\\w+";

  /** Names of an encoder that was saved alone. */
  private static final Pattern BARE_ENCODER =
      Pattern.compile("(?:embeddings|embeddings_project|encoder|transformer|pooler)\\..*");

  /** Families of models, which differ in their names. */
  enum Family {
    T5(
        "",
        "(?:(?:shared|(?:encoder|decoder)\\.embed_tokens|lm_head(?:\\.0)?)\\.weight"
            + "|(?:encoder|decoder)\\.block\\.\\d{1,4}\\.layer\\.\\d\\."
            + "(?:SelfAttention|EncDecAttention|DenseReluDense|layer_norm)\\.[A-Za-z0-9_.]+"
            + "|(?:encoder|decoder)\\.final_layer_norm\\.weight|classifier\\.(?:weight|bias))",
        // Copies of the embedding, and a table of old T5 files that no version reads.
        "(?:encoder|decoder)\\.embed_tokens\\.weight"
            + "|.*EncDecAttention\\.relative_attention_bias\\.weight"),
    ROBERTA(
        "roberta.",
        "(?:(?:roberta\\.)?(?:"
            + BERT_ENCODER
            + ")"
            + "|classifier\\.(?:dense|out_proj)\\.\\w+"
            + "|lm_head\\.(?:bias|(?:dense|layer_norm|decoder)\\.\\w+))",
        // A classifier reads neither the pooler nor the head of the pretraining.
        "roberta\\.pooler\\.dense\\.\\w+"
            + "|lm_head\\.(?:bias|(?:dense|layer_norm|decoder)\\.\\w+)"),
    BERT(
        "bert.",
        "(?:(?:bert\\.)?(?:" + BERT_ENCODER + ")|classifier\\.\\w+|cls\\.[A-Za-z0-9_.]+)",
        "cls\\..*"),
    DISTILBERT(
        "distilbert.",
        "(?:(?:distilbert\\.)?(?:embeddings\\.(?:word_embeddings|position_embeddings|LayerNorm)\\.\\w+"
            + "|transformer\\.layer\\.\\d{1,4}\\."
            + "(?:attention|ffn|sa_layer_norm|output_layer_norm)\\.[A-Za-z0-9_.]+)"
            + "|(?:pre_classifier|classifier)\\.\\w+"
            + "|vocab_(?:transform|layer_norm|projector)\\.\\w+)",
        "vocab_(?:transform|layer_norm|projector)\\.\\w+"),
    ELECTRA(
        "electra.",
        "(?:(?:electra\\.)?(?:embeddings_project\\.\\w+|"
            + BERT_ENCODER
            + ")|classifier\\.(?:dense|out_proj)\\.\\w+"
            + "|(?:discriminator_predictions|generator_predictions|generator_lm_head)\\.[A-Za-z0-9_.]+)",
        "(?:discriminator_predictions|generator_predictions|generator_lm_head)\\..*"),
    DEBERTA(
        "deberta.",
        "(?:(?:deberta\\.)?(?:"
            + BERT_ENCODER
            + "|encoder\\.(?:rel_embeddings|LayerNorm)\\.\\w+)"
            + "|classifier\\.\\w+"
            + "|(?:cls|lm_predictions|mask_predictions)\\.[A-Za-z0-9_.]+)",
        // Old files keep positions that position_biased_input leaves out.
        "deberta\\.embeddings\\.position_embeddings\\.weight"
            + "|(?:cls|lm_predictions|mask_predictions)\\..*");

    private final String prefix; // of an encoder's tensors
    private final Pattern names;
    private final Pattern harmless;

    Family(String prefix, String names, String harmless) {
      this.prefix = prefix;
      this.names = Pattern.compile(names);
      this.harmless = Pattern.compile(ANY_HARMLESS + harmless);
    }

    private boolean has(String name) {
      return names.matcher(name).matches();
    }
  }

  private final Family family;
  private final boolean tied;

  private TensorNames(Family family, boolean tied) {
    this.family = family;
    this.tied = tied;
  }

  /** Returns the names of a model of this configuration; null if it is of no family known here. */
  static TensorNames of(JsonObject config) {
    String type =
        config
            .optionalText("model_type")
            .orElse(config.has("d_model") ? "t5" : config.has("hidden_size") ? "roberta" : "");
    return switch (type.startsWith("HHEMv2") ? "t5" : type) {
      case "t5", "mt5", "umt5" ->
          new TensorNames(Family.T5, config.bool("tie_word_embeddings", true));
      case "roberta", "xlm-roberta" -> new TensorNames(Family.ROBERTA, false);
      case "bert" -> new TensorNames(Family.BERT, false);
      case "distilbert" -> new TensorNames(Family.DISTILBERT, false);
      case "electra" -> new TensorNames(Family.ELECTRA, false);
      case "deberta-v2" -> new TensorNames(Family.DEBERTA, false);
      default -> null;
    };
  }

  /**
   * Resolves names.
   *
   * @param path the file or folder, for an error's sentence
   * @param aliases names without a tensor of their own, and the tensor that each stands for, as
   *     {@code safetensors.torch.save_model} puts them into the metadata
   * @param read reads a tensor by its name in the file
   * @return the model's name of each tensor, and its name in the file
   * @throws InvalidInputException if two tensors that differ come to one name, or the file holds
   *     adapters that are not merged
   */
  Map<String, String> resolve(
      Path path,
      Collection<String> names,
      Map<String, String> aliases,
      Function<String, TensorView> read) {
    Map<String, String> resolved = new LinkedHashMap<>();
    for (String name : names) {
      requireMerged(path, name);
      put(path, resolved, canonical(name), name, read);
    }
    aliases.forEach(
        (alias, name) -> {
          if (names.contains(name) && !names.contains(alias)) {
            put(path, resolved, canonical(alias), name, read);
          }
        });
    if (family == Family.T5) {
      resolveEmbedding(path, resolved, read);
    }
    return resolved;
  }

  private static void requireMerged(Path path, String name) {
    if (PEFT_WHOLE.matcher(name).find()) {
      throw TensorFile.invalid(
          path,
          "holds "
              + shown(name)
              + ": it is a PEFT model saved whole, with adapters that are not merged; call"
              + " merge_and_unload() before saving it, or save the adapter by itself");
    }
  }

  /** Returns the model's name of a tensor; a name that no model has stays as it is. */
  private String canonical(String name) {
    String plain = unwrapped(name);
    Matcher old = OLD_NORM.matcher(plain);
    if (old.find()) {
      String parameter = old.group("old").equals("gamma") ? "weight" : "bias";
      plain = plain.substring(0, old.start()) + old.group("norm") + "." + parameter;
    }
    int at = 0;
    for (int i = 0; i <= MAX_PREFIX_SEGMENTS && at < plain.length(); i++) {
      String rest = plain.substring(at);
      if (family.has(rest)) {
        return standard(rest);
      }
      int dot = plain.indexOf('.', at);
      if (dot < 0) {
        break;
      }
      at = dot + 1;
    }
    return name;
  }

  private String standard(String name) {
    if (family == Family.T5) {
      return name.equals("lm_head.0.weight") ? HEAD : name;
    }
    if (family == Family.DEBERTA && name.startsWith("pooler.")) {
      return name; // it is the head's
    }
    return BARE_ENCODER.matcher(name).matches() ? family.prefix + name : name;
  }

  /** Removes the segments of wrappers, and PEFT's of a layer that no longer has an adapter. */
  static String unwrapped(String name) {
    if (!name.contains("module.") && !name.contains("_mod") && !name.contains("base_layer.")) {
      return name;
    }
    return Pattern.compile("\\.")
        .splitAsStream(name)
        .filter(segment -> !WRAPPERS.contains(segment) && !segment.equals("base_layer"))
        .collect(Collectors.joining("."));
  }

  /** Removes what stands before a T5's name of a layer, such as {@code model.}. */
  static String withoutPrefix(String name) {
    Matcher layer = T5_LAYER.matcher(name);
    return layer.find() ? name.substring(layer.start("layer")) : name;
  }

  private static void put(
      Path path,
      Map<String, String> resolved,
      String name,
      String stored,
      Function<String, TensorView> read) {
    String before = resolved.putIfAbsent(name, stored);
    if (before == null) {
      return;
    }
    requireSame(path, name, before, stored, read);
    if (stored.equals(name)) {
      resolved.put(name, stored);
    }
  }

  /** Makes sure that a tensor that is there under two names has one content. */
  private static void requireSame(
      Path path, String name, String first, String second, Function<String, TensorView> read) {
    if (!first.equals(second) && !same(read.apply(first), read.apply(second))) {
      throw TensorFile.invalid(
          path,
          "holds "
              + shown(first)
              + " and "
              + shown(second)
              + ", which both are "
              + name
              + " and differ: remove the one that does not belong to the model");
    }
  }

  private static boolean same(TensorView a, TensorView b) {
    return a.dtype() == b.dtype()
        && Arrays.equals(a.shape(), b.shape())
        && (a.data().address() == b.data().address() || a.data().mismatch(b.data()) == -1);
  }

  /** Finds the table that both stacks of a T5 read, and its output layer where the two are tied. */
  private void resolveEmbedding(
      Path path, Map<String, String> resolved, Function<String, TensorView> read) {
    List<String> found = new ArrayList<>(EMBEDDINGS);
    found.removeIf(name -> !resolved.containsKey(name));
    String shared = resolved.get(SHARED);
    for (String name : found) {
      if (shared == null) {
        shared = resolved.get(name);
      } else {
        requireSame(path, SHARED, shared, resolved.get(name), read);
      }
    }
    if (shared == null && tied && resolved.containsKey(HEAD)) {
      shared = resolved.remove(HEAD);
    }
    if (shared != null && resolved.get(SHARED) == null) {
      found.forEach(resolved::remove);
      resolved.put(SHARED, shared);
    }
  }

  /**
   * Explains names among which a model's were not found: by the prefix that they have in common, or
   * else by an example.
   */
  static String explain(Collection<String> names) {
    if (names.isEmpty()) {
      return "";
    }
    String prefix = names.iterator().next();
    for (String name : names) {
      int n = 0;
      while (n < Math.min(prefix.length(), name.length()) && prefix.charAt(n) == name.charAt(n)) {
        n++;
      }
      prefix = prefix.substring(0, n);
    }
    prefix = prefix.substring(0, prefix.lastIndexOf('.') + 1);
    String example = shown(names.iterator().next());
    return prefix.isEmpty() || names.size() == 1
        ? ": its tensors have names such as " + example
        : ": all its tensors' names begin with \"" + shown(prefix) + "\", such as " + example;
  }

  /** Returns true if a tensor that no part of the model reads needs no mention. */
  boolean harmless(String name) {
    return family.harmless.matcher(name).matches();
  }

  /** Returns a name from a file, cut to what a sentence can hold. */
  public static String shown(String name) {
    return name.length() <= SHOWN ? name : name.substring(0, SHOWN) + "...";
  }
}
