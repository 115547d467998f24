package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.encoder.EncoderConfig;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Notes;
import dev.precis.ops.Activation;
import dev.precis.t5.T5Config;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Every published key of a configuration is followed, without effect, named or refused. */
class ConfigKeysTest {
  @TempDir Path folder;

  @AfterEach
  void noListener() {
    Notes.listener(null);
  }

  private static ConfigKeys keys(String name) {
    return switch (name) {
      case "RobertaConfig", "XLMRobertaConfig" -> ConfigKeys.ROBERTA;
      case "BertConfig" -> ConfigKeys.BERT;
      case "DistilBertConfig" -> ConfigKeys.DISTILBERT;
      case "ElectraConfig" -> ConfigKeys.ELECTRA;
      case "DebertaV2Config" -> ConfigKeys.DEBERTA;
      case "LoraConfig" -> ConfigKeys.ADAPTER;
      case "IA3Config" -> ConfigKeys.IA3;
      case "PromptTuningConfig" -> ConfigKeys.PROMPT_TUNING;
      default -> ConfigKeys.T5;
    };
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "T5Config",
        "MT5Config",
        "UMT5Config",
        "RobertaConfig",
        "XLMRobertaConfig",
        "BertConfig",
        "DistilBertConfig",
        "ElectraConfig",
        "DebertaV2Config",
        "LoraConfig",
        "IA3Config",
        "PromptTuningConfig"
      })
  void knowsEveryPublishedKey(String name) {
    JsonNode published =
        JsonMapper.shared()
            .readTree(Fixtures.resource("models/published-keys.json").toFile())
            .get(name);
    assertTrue(published.size() > 12, name);
    for (JsonNode key : published) {
      assertTrue(
          keys(name).keys().containsKey(key.stringValue()), name + " has " + key.stringValue());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "T5Config",
        "RobertaConfig",
        "BertConfig",
        "DistilBertConfig",
        "ElectraConfig",
        "DebertaV2Config",
        "LoraConfig",
        "IA3Config",
        "PromptTuningConfig"
      })
  void theDocumentationHasTheTable(String name) throws IOException {
    String page = Files.readString(Path.of("../../docs/files.md"));
    assertTrue(
        page.contains(keys(name).table()),
        () -> "docs/files.md must hold this table:\n" + keys(name).table());
  }

  private Path config(String json) throws IOException {
    Files.writeString(folder.resolve("config.json"), json.replace('\'', '"'));
    return folder;
  }

  private String t5Refusal(String json) {
    return assertThrows(InvalidInputException.class, () -> T5Config.read(config(json)))
        .getMessage();
  }

  @Test
  void defaultsFollowTheModelType() throws IOException {
    T5Config t5 = T5Config.read(config("{'model_type':'t5'}"));
    assertEquals(
        List.of(32128, 512, 64, 2048, 6, 6, 8),
        List.of(
            t5.vocabSize(),
            t5.dModel(),
            t5.dKv(),
            t5.dFf(),
            t5.numLayers(),
            t5.numDecoderLayers(),
            t5.numHeads()));
    assertEquals(Activation.RELU, t5.activation());
    assertTrue(!t5.gated() && t5.scaleDecoderOutputs() && !t5.biasInEveryLayer());
    T5Config mt5 = T5Config.read(config("{'model_type':'mt5'}"));
    assertEquals(
        List.of(250112, 512, 64, 1024, 8, 8, 6),
        List.of(
            mt5.vocabSize(),
            mt5.dModel(),
            mt5.dKv(),
            mt5.dFf(),
            mt5.numLayers(),
            mt5.numDecoderLayers(),
            mt5.numHeads()));
    assertEquals(Activation.GELU_TANH, mt5.activation());
    assertTrue(mt5.gated() && !mt5.scaleDecoderOutputs() && !mt5.biasInEveryLayer());
    T5Config umt5 = T5Config.read(config("{'model_type':'umt5','tie_word_embeddings':false}"));
    assertTrue(umt5.gated() && umt5.scaleDecoderOutputs() && umt5.biasInEveryLayer());
  }

  @ParameterizedTest
  @CsvSource({
    "'\"feed_forward_proj\":\"gated-gelu\"', GELU_TANH, true",
    "'\"feed_forward_proj\":\"gelu\"', GELU_ERF, false",
    "'\"feed_forward_proj\":\"gated-gelu\",\"dense_act_fn\":\"gelu\"', GELU_ERF, true",
    "'\"feed_forward_proj\":\"gated-silu\"', SILU, true",
    "'\"dense_act_fn\":\"gelu_new\",\"is_gated_act\":true', GELU_TANH, true",
    "'\"feed_forward_proj\":\"relu\"', RELU, false",
  })
  void activationsHaveSeveralKeys(String keys, Activation activation, boolean gated)
      throws IOException {
    T5Config config = T5Config.read(config("{" + keys + "}"));
    assertEquals(activation, config.activation());
    assertEquals(gated, config.gated());
  }

  @Test
  void otherNamesOfSizesAreFollowed() throws IOException {
    T5Config config =
        T5Config.read(
            config(
                "{'hidden_size':48,'num_hidden_layers':3,'num_attention_heads':2,'head_dim':8}"));
    assertEquals(List.of(48, 3, 2, 8), sizes(config));
    assertTrue(t5Refusal("{'hidden_size':48,'d_model':64}").contains("hidden_size"));
  }

  private static List<Integer> sizes(T5Config config) {
    return List.of(config.dModel(), config.numLayers(), config.numHeads(), config.dKv());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "longt5",
        "t5gemma",
        "bart",
        "gpt2",
        "pegasus",
        "llama",
        "mbart",
        "switch_transformers",
        "bert",
        "roberta"
      })
  void anotherModelIsRefusedByItsName(String type) {
    String said = t5Refusal("{'model_type':'" + type + "'}");
    assertTrue(said.contains("of type " + type + ", not a T5"), said);
    assertTrue(said.contains("FLAN-T5, mT5, UMT5 or ByT5"), said);
  }

  @Test
  void aFolderWithoutATypeIsRefusedByItsArchitecture() {
    String said = t5Refusal("{'architectures':['GPT2LMHeadModel']}");
    assertTrue(said.contains("of type GPT2LMHeadModel, not a T5"), said);
  }

  @ParameterizedTest
  @CsvSource({
    "layer_norm_epsilon, -1e-6",
    "layer_norm_epsilon, 0",
    "layer_norm_epsilon, 1e9",
    "tie_encoder_decoder, true",
    "pruned_heads, '{\"0\":[1]}'",
    "quantization_config, '{\"quant_method\":\"gptq\"}'",
    "dropout_rate, 1",
  })
  void whatCannotBeFollowedIsRefused(String key, String value) {
    String said = t5Refusal("{'" + key + "':" + value + "}");
    assertTrue(said.contains("\"" + key + "\""), said);
  }

  @Test
  void aNegativeEpsilonOfARobertaIsRefused() throws IOException {
    config("{'model_type':'roberta','vocab_size':10,'layer_norm_eps':-1}");
    String said =
        assertThrows(InvalidInputException.class, () -> EncoderConfig.read(folder)).getMessage();
    assertTrue(said.contains("layer_norm_eps"), said);
  }

  @Test
  void unknownKeysAreNamedTogether() throws IOException {
    List<String> notes = new ArrayList<>();
    Notes.listener(notes::add);
    T5Config.read(config("{'zzz_new':1,'num_beams':4,'use_cache':true,'unset_key':null}"));
    assertEquals(1, notes.size());
    assertTrue(notes.getFirst().contains("sets num_beams, zzz_new, which"), notes.getFirst());
  }
}
