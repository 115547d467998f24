package dev.precis.checkpoint;

import dev.precis.io.JsonObject;
import dev.precis.io.Notes;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;

/**
 * The published keys of a model's {@code config.json}: each is followed, has no effect on what is
 * computed here, is named in a note, or is refused when it is set. The documentation's table is
 * printed from these lists, and a test compares them with the keys of transformers.
 */
public final class ConfigKeys {
  /** Ways to treat a key. */
  public enum Treatment {
    /** Its value is used. */
    FOLLOWED("followed"),
    /** It changes nothing in inference or training. */
    WITHOUT_EFFECT("without effect"),
    /** It is not used, and a note says so where it is set. */
    NAMED("named in a note"),
    /** A value that is set is an error. */
    REFUSED("refused if set");

    private final String shown;

    Treatment(String shown) {
      this.shown = shown;
    }
  }

  /**
   * A key.
   *
   * @param meaning completes the table's row: defaults, or the reason for the treatment
   */
  public record Key(String name, Treatment treatment, String meaning) {}

  /** The keys of T5, mT5, UMT5 and ByT5. */
  public static final ConfigKeys T5 = new ConfigKeys("T5, mT5, UMT5, ByT5");

  /** The keys of RoBERTa. */
  public static final ConfigKeys ROBERTA = new ConfigKeys("RoBERTa, XLM-RoBERTa");

  /** The keys of BERT. */
  public static final ConfigKeys BERT = new ConfigKeys("BERT");

  /** The keys of DistilBERT. */
  public static final ConfigKeys DISTILBERT = new ConfigKeys("DistilBERT");

  /** The keys of ELECTRA. */
  public static final ConfigKeys ELECTRA = new ConfigKeys("ELECTRA");

  /** The keys of DeBERTa of the versions 2 and 3. */
  public static final ConfigKeys DEBERTA = new ConfigKeys("DeBERTa v2, v3");

  /** The keys of PEFT's {@code adapter_config.json}. */
  public static final ConfigKeys ADAPTER = new ConfigKeys("LoRA and DoRA adapters");

  /** The keys of that file of an IA3 adapter. */
  public static final ConfigKeys IA3 = new ConfigKeys("IA3 adapters");

  /** The keys of that file of a soft prompt. */
  public static final ConfigKeys PROMPT_TUNING = new ConfigKeys("soft prompts");

  static {
    T5.followed("model_type", "`t5` (ByT5 and FLAN-T5 too), `mt5` or `umt5`; default `t5`");
    T5.followed("vocab_size", "default 32128; mT5, UMT5: 250112");
    T5.followed("d_model", "default 512");
    T5.followed("hidden_size", "another name of `d_model`");
    T5.followed("d_kv", "default 64");
    T5.followed("head_dim", "another name of `d_kv`");
    T5.followed("d_ff", "default 2048; mT5, UMT5: 1024");
    T5.followed("num_layers", "default 6; mT5, UMT5: 8");
    T5.followed("num_hidden_layers", "another name of `num_layers`");
    T5.followed("num_decoder_layers", "default `num_layers`");
    T5.followed("num_heads", "default 8; mT5, UMT5: 6");
    T5.followed("num_attention_heads", "another name of `num_heads`");
    T5.followed("relative_attention_num_buckets", "default 32");
    T5.followed("relative_attention_max_distance", "default 128");
    T5.followed("dropout_rate", "default 0.1; training alone drops");
    T5.followed("layer_norm_epsilon", "default 1e-6");
    T5.followed("feed_forward_proj", "default `relu`; mT5, UMT5: `gated-gelu`");
    T5.followed("dense_act_fn", "default: what `feed_forward_proj` names");
    T5.followed("is_gated_act", "default: what `feed_forward_proj` names");
    T5.followed("tie_word_embeddings", "default true; an output layer with other values counts");
    T5.followed(
        "scale_decoder_outputs",
        "default: `tie_word_embeddings` of a T5, false for mT5, true for UMT5, as transformers 5");
    T5.followed("pad_token_id", "default 0");
    T5.followed("eos_token_id", "default 1");
    T5.followed("decoder_start_token_id", "default 0");
    T5.effectless("is_encoder_decoder", "every T5 here has both stacks");
    T5.effectless("is_decoder", "it is set for each stack by its place");
    T5.effectless("initializer_factor", "initial values are those of factor 1");
    T5.effectless("classifier_dropout", "it belongs to a classifier's head");
    T5.effectless("use_cache", "decoding always has a KV cache");
    T5.effectless("n_positions", "positions are relative");
    T5.effectless("output_past", "an old name of `use_cache`");
    T5.effectless("scalable_attention", "transformers does not read it either");
    T5.effectless("bos_token_id", "a T5 starts with `decoder_start_token_id`");
    T5.effectless("tokenizer_class", "the tokenizer's files decide");
    T5.effectless("task_specific_params", "prompts and lengths are the caller's");
    T5.effectless("id2label", "it belongs to a classifier's head");
    T5.effectless("label2id", "it belongs to a classifier's head");
    T5.effectless("num_labels", "it belongs to a classifier's head");
    T5.effectless("problem_type", "it belongs to a classifier's head");
    T5.refused("tie_encoder_decoder", "the stacks have weights of their own");
    T5.refused("add_cross_attention", "the decoder always has it, the encoder never");
    common(T5);

    ROBERTA.followed("model_type", "`roberta` or `xlm-roberta`; default `roberta`");
    ROBERTA.followed("vocab_size", "needed");
    bertEncoder(ROBERTA, "1");
    BERT.followed("model_type", "`bert`");
    BERT.followed("vocab_size", "default 30522");
    bertEncoder(BERT, "0");
    for (String name :
        List.of(
            "pooler_fc_size",
            "pooler_num_attention_heads",
            "pooler_num_fc_layers",
            "pooler_size_per_head",
            "pooler_type",
            "directionality")) {
      BERT.effectless(name, "transformers does not read it either");
    }
    ELECTRA.followed("model_type", "`electra`");
    ELECTRA.followed("vocab_size", "default 30522");
    ELECTRA.followed(
        "embedding_size",
        "default 128; embeddings of another width than `hidden_size` are projected");
    bertEncoder(ELECTRA, "0");
    for (String name :
        List.of(
            "summary_type",
            "summary_use_proj",
            "summary_activation",
            "summary_last_dropout",
            "summary_proj_to_labels",
            "summary_first_dropout",
            "generator_size",
            "generator_hidden_size")) {
      ELECTRA.effectless(name, "it belongs to another head");
    }
    DISTILBERT.followed("model_type", "`distilbert`");
    DISTILBERT.followed("vocab_size", "default 30522");
    DISTILBERT.followed("dim", "default 768");
    DISTILBERT.followed("hidden_size", "another name of `dim`");
    DISTILBERT.followed("n_layers", "default 6");
    DISTILBERT.followed("num_hidden_layers", "another name of `n_layers`");
    DISTILBERT.followed("n_heads", "default 12");
    DISTILBERT.followed("num_attention_heads", "another name of `n_heads`");
    DISTILBERT.followed("hidden_dim", "default 3072");
    DISTILBERT.followed("activation", "default `gelu`");
    DISTILBERT.followed("dropout", "default 0.1; training alone drops");
    DISTILBERT.followed("attention_dropout", "default 0.1; training alone drops");
    DISTILBERT.followed("seq_classif_dropout", "default 0.2; training alone drops");
    DISTILBERT.followed("max_position_embeddings", "default 512");
    DISTILBERT.effectless("sinusoidal_pos_embds", "the checkpoint holds the positions' table");
    DISTILBERT.effectless("qa_dropout", "it belongs to another head");
    DISTILBERT.effectless("tie_weights_", "a classifier has no output embedding");
    classifierKeys(DISTILBERT, "0");
    deberta();
    adapter();
    otherAdapters();
  }

  private static void deberta() {
    DEBERTA.followed("model_type", "`deberta-v2`, v3 too");
    DEBERTA.followed("vocab_size", "default 128100");
    DEBERTA.followed("hidden_size", "default 1536");
    DEBERTA.followed("num_hidden_layers", "default 24");
    DEBERTA.followed("num_attention_heads", "default 24");
    DEBERTA.followed("intermediate_size", "default 6144");
    DEBERTA.followed("hidden_act", "default `gelu`");
    DEBERTA.followed("max_position_embeddings", "default 512; the most tokens of a text");
    DEBERTA.followed("type_vocab_size", "default 0");
    DEBERTA.followed("layer_norm_eps", "default 1e-7");
    DEBERTA.followed("relative_attention", "true alone is supported");
    DEBERTA.followed("max_relative_positions", "default -1: `max_position_embeddings`");
    DEBERTA.followed("position_buckets", "default -1: each distance has a row of its own");
    DEBERTA.followed("pos_att_type", "`c2p`, `p2c`, both or none");
    DEBERTA.followed("share_att_key", "default false");
    DEBERTA.followed("norm_rel_ebd", "`layer_norm` or none");
    DEBERTA.followed("position_biased_input", "default true");
    DEBERTA.followed("attention_head_size", "`hidden_size / num_attention_heads` alone");
    DEBERTA.followed("embedding_size", "`hidden_size` alone is supported");
    DEBERTA.followed("pooler_hidden_size", "`hidden_size` alone is supported");
    DEBERTA.followed("pooler_hidden_act", "`gelu` alone is supported");
    DEBERTA.followed("conv_kernel_size", "0 alone is supported");
    for (String name :
        List.of(
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "cls_dropout",
            "pooler_dropout")) {
      DEBERTA.effectless(name, "training alone drops, and a DeBERTa is not trained here");
    }
    for (String name : List.of("conv_act", "conv_groups")) {
      DEBERTA.effectless(name, "it belongs to `conv_kernel_size`");
    }
    DEBERTA.effectless("legacy", "it belongs to another head");
    classifierKeys(DEBERTA, "0");
  }

  /** Adds the keys that BERT and its relatives share. */
  private static void bertEncoder(ConfigKeys to, String padding) {
    to.followed("hidden_size", "default 768");
    to.followed("num_hidden_layers", "default 12");
    to.followed("num_attention_heads", "default 12");
    to.followed("intermediate_size", "default 3072");
    to.followed("hidden_act", "default `gelu`");
    to.followed("hidden_dropout_prob", "default 0.1; training alone drops");
    to.followed("attention_probs_dropout_prob", "default 0.1; training alone drops");
    to.followed("classifier_dropout", "default `hidden_dropout_prob`");
    to.followed("max_position_embeddings", "default 512");
    to.followed("type_vocab_size", "default 2");
    to.followed("layer_norm_eps", "default 1e-12");
    classifierKeys(to, padding);
  }

  /** Adds the keys that every classifier has, and those without effect on one. */
  private static void classifierKeys(ConfigKeys to, String padding) {
    to.followed("initializer_range", "default 0.02; of a new head");
    to.followed("pad_token_id", "default " + padding);
    to.followed("id2label", "the classes' names");
    to.effectless("label2id", "`id2label` alone names the classes");
    to.followed("num_labels", "the number of classes where `id2label` is missing; default 2");
    to.followed("problem_type", "`multi_label_classification` makes each label a yes or no");
    to.followed("position_embedding_type", "`absolute` alone is supported");
    to.followed("is_decoder", "false alone is supported");
    to.followed("add_cross_attention", "false alone is supported");
    to.effectless("bos_token_id", "the tokenizer's files decide");
    to.effectless("eos_token_id", "the tokenizer's files decide");
    to.effectless("use_cache", "an encoder has no cache");
    to.effectless("tie_word_embeddings", "a classifier has no output embedding");
    to.effectless("is_encoder_decoder", "a classifier is an encoder");
    to.effectless("output_past", "an encoder has no cache");
    to.effectless("tokenizer_class", "the tokenizer's files decide");
    to.effectless("task_specific_params", "they are for generation");
    to.effectless("tie_encoder_decoder", "a classifier is an encoder");
    common(to);
  }

  private static void adapter() {
    ADAPTER.followed("peft_type", "`LORA`; keys of `IA3` and `PROMPT_TUNING` have tables below");
    ADAPTER.followed("r", "needed");
    ADAPTER.followed("lora_alpha", "needed");
    ADAPTER.followed("lora_dropout", "default 0; training alone drops");
    ADAPTER.followed("use_rslora", "default false; scaling alpha / sqrt(r)");
    ADAPTER.followed("use_dora", "merged into the weights as they are loaded");
    ADAPTER.followed("rank_pattern", "regular expressions of module names");
    ADAPTER.followed("alpha_pattern", "regular expressions of module names");
    ADAPTER.followed(
        "modules_to_save",
        "the saved modules replace the base model's, and are trained with `--modules-to-save`");
    ADAPTER.followed("bias", "T5 has no biases, so `all` and `lora_only` are `none`");
    ADAPTER.followed("init_lora_weights", "those that change the base model are refused");
    ADAPTER.followed("base_model_name_or_path", "shown; `--model` names the base model");
    for (String name :
        List.of("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")) {
      ADAPTER.effectless(name, "the tensors in the file decide");
    }
    ADAPTER.effectless("fan_in_fan_out", "PEFT sets it to false for linear layers, which all are");
    ADAPTER.effectless("merge_weights", "old PEFT's way to run");
    for (String name : List.of("eva_config", "corda_config", "lora_ga_config", "loftq_config")) {
      ADAPTER.effectless(name, "it is of initial values; `init_lora_weights` decides");
    }
    ADAPTER.effectless("qalora_group_size", "it belongs to `use_qalora`");
    ADAPTER.effectless("megatron_core", "it is the name of a Python module");
    ADAPTER.effectless("runtime_config", "it changes how PEFT computes, not the result");
    for (String name :
        List.of("task_type", "auto_mapping", "peft_version", "revision", "inference_mode")) {
      ADAPTER.effectless(name, "it tells where the adapter comes from");
    }
    ADAPTER.add(
        "ensure_weight_tying", Treatment.NAMED, "the tensors in the file decide what is replaced");
    for (String name :
        List.of(
            "use_qalora",
            "use_bdlora",
            "lora_bias",
            "enable_lora",
            "layer_replication",
            "trainable_token_indices",
            "target_parameters",
            "alora_invocation_tokens",
            "arrow_config",
            "kasa_config",
            "monteclora_config",
            "velora_config",
            "megatron_config")) {
      ADAPTER.refused(name, "adapters that use it are not supported");
    }
  }

  private static void otherAdapters() {
    IA3.followed("peft_type", "`IA3`");
    IA3.followed("modules_to_save", "the saved modules replace the base model's");
    PROMPT_TUNING.followed("peft_type", "`PROMPT_TUNING`");
    PROMPT_TUNING.followed("num_virtual_tokens", "needed");
    PROMPT_TUNING.followed(
        "num_transformer_submodules",
        "2 of `SEQ_2_SEQ_LM`: the file then has as many virtual tokens again, which PEFT does not"
            + " use either");
    PROMPT_TUNING.followed("task_type", "it decides where `num_transformer_submodules` is missing");
    PROMPT_TUNING.refused("modules_to_save", "a soft prompt is read alone");
    for (String name : List.of("target_modules", "exclude_modules", "feedforward_modules")) {
      IA3.effectless(name, "the tensors in the file and their shapes decide");
    }
    IA3.effectless("fan_in_fan_out", "PEFT sets it to false for linear layers, which all are");
    IA3.effectless("init_ia3_weights", "it is of initial values");
    IA3.effectless("task_type", "it tells where the adapter comes from");
    for (String name :
        List.of(
            "prompt_tuning_init",
            "prompt_tuning_init_text",
            "tokenizer_name_or_path",
            "tokenizer_kwargs")) {
      PROMPT_TUNING.effectless(name, "it is of initial values");
    }
    for (String name : List.of("token_dim", "num_attention_heads", "num_layers")) {
      PROMPT_TUNING.effectless(name, "the base model has them");
    }
    for (ConfigKeys each : List.of(IA3, PROMPT_TUNING)) {
      each.followed("base_model_name_or_path", "shown; `--model` names the base model");
      for (String name : List.of("auto_mapping", "peft_version", "revision", "inference_mode")) {
        each.effectless(name, "it tells where the adapter comes from");
      }
    }
  }

  private final String models;
  private final Map<String, Key> keys = new LinkedHashMap<>();

  private ConfigKeys(String models) {
    this.models = models;
  }

  /** Adds the keys that every configuration of transformers can have. */
  private static void common(ConfigKeys to) {
    for (String name : List.of("architectures", "transformers_version", "_name_or_path")) {
      to.effectless(name, "it tells where the model comes from");
    }
    for (String name : List.of("_commit_hash", "name_or_path", "finetuning_task", "auto_map")) {
      to.effectless(name, "it tells where the model comes from");
    }
    for (String name : List.of("dtype", "torch_dtype", "use_bfloat16")) {
      to.effectless(name, "the type of the weights and `--dtype` decide");
    }
    for (String name : List.of("output_hidden_states", "output_attentions", "return_dict")) {
      to.effectless(name, "it selects what a Python call returns");
    }
    for (String name :
        List.of(
            "torchscript",
            "tf_legacy_loss",
            "gradient_checkpointing",
            "chunk_size_feed_forward",
            "attn_implementation",
            "_attn_implementation",
            "_attn_implementation_internal",
            "_attn_implementation_autoset",
            "_experts_implementation",
            "experts_implementation",
            "_experts_implementation_internal",
            "_output_attentions")) {
      to.effectless(name, "it changes how transformers computes, not the result");
    }
    for (String name : List.of("sep_token_id", "cross_attention_hidden_size")) {
      to.effectless(name, "no model here reads it");
    }
    to.refused("pruned_heads", "heads that were removed are not supported");
    to.refused("quantization_config", "quantized weights are not read: save the model unquantized");
    for (String name :
        List.of(
            "prefix",
            "max_length",
            "min_length",
            "do_sample",
            "early_stopping",
            "num_beams",
            "num_beam_groups",
            "diversity_penalty",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
            "repetition_penalty",
            "length_penalty",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "bad_words_ids",
            "num_return_sequences",
            "output_scores",
            "return_dict_in_generate",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "remove_invalid_values",
            "exponential_decay_length_penalty",
            "suppress_tokens",
            "begin_suppress_tokens")) {
      to.add(
          name,
          Treatment.NAMED,
          "settings of generation count in `generation_config.json`, as in transformers 5");
    }
  }

  private void followed(String name, String meaning) {
    add(name, Treatment.FOLLOWED, meaning);
  }

  private void effectless(String name, String meaning) {
    add(name, Treatment.WITHOUT_EFFECT, meaning);
  }

  private void refused(String name, String meaning) {
    add(name, Treatment.REFUSED, meaning);
  }

  private void add(String name, Treatment treatment, String meaning) {
    if (keys.put(name, new Key(name, treatment, meaning)) != null) {
      throw new IllegalStateException(models + " have the key " + name + " twice");
    }
  }

  /** Returns the keys by name, in the table's order. */
  public Map<String, Key> keys() {
    return java.util.Collections.unmodifiableMap(keys);
  }

  /**
   * Refuses the keys that are not supported and says in one note which keys are not followed.
   *
   * @throws dev.precis.io.InvalidInputException if a key is set that changes the result and is not
   *     supported
   */
  public void check(JsonObject config) {
    Set<String> named = new TreeSet<>();
    for (String name : config.keys()) {
      Key key = keys.get(name);
      if (unset(config.node().get(name))) {
        continue;
      }
      if (key == null || key.treatment == Treatment.NAMED) {
        named.add(name);
      } else if (key.treatment == Treatment.REFUSED) {
        throw config.wrong(name, "unset: " + key.meaning);
      }
    }
    if (!named.isEmpty()) {
      List<String> shown = new ArrayList<>(named);
      String more = shown.size() > 8 ? " and " + (shown.size() - 8) + " more" : "";
      Notes.say(
          config.where()
              + " sets "
              + String.join(", ", shown.subList(0, Math.min(8, shown.size())))
              + more
              + ", which Précis does not follow");
    }
  }

  private static boolean unset(JsonNode value) {
    return value.isNull()
        || value.isBoolean() && !value.booleanValue()
        || value.isContainer() && value.isEmpty();
  }

  /** Returns the keys as a table in Markdown, as docs/files.md has it. */
  public String table() {
    StringBuilder table = new StringBuilder("| key (" + models + ") | | |\n|---|---|---|\n");
    for (Key key : keys.values()) {
      table
          .append("| `")
          .append(key.name)
          .append("` | ")
          .append(key.treatment.shown)
          .append(" | ")
          .append(key.meaning)
          .append(" |\n");
    }
    return table.toString();
  }
}
