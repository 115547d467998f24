package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.Fixtures;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * Tokenizers as people have them give what transformers makes of them; the folders and the goldens
 * are made by {@code tokenizers/make.py}.
 */
class TransformersTokenizerTest {
  private static int[] ids(JsonNode node) {
    return StreamSupport.stream(node.spliterator(), false).mapToInt(JsonNode::intValue).toArray();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"mt5", "madlad", "t5-added", "t5-converted", "codet5", "codet5-prefix", "byt5"})
  void givesWhatTransformersGives(String folder) throws IOException {
    JsonNode golden =
        Json.mapper()
            .readTree(Files.readString(Fixtures.resource("tokenizers/golden.json")))
            .get(folder);
    List<String> wrong = new ArrayList<>();
    try (Tokenizer tokenizer = Tokenizer.load(Fixtures.resource("tokenizers/" + folder))) {
      for (JsonNode each : golden.get("cases")) {
        String text = each.get("text").stringValue();
        int[] ids = ids(each.get("ids"));
        assertArrayEquals(ids, tokenizer.encode(text), () -> "\"" + text + "\"");
        assertArrayEquals(ids(each.get("bare")), tokenizer.encode(text, false), text);
        String shown = each.get("decoded").stringValue();
        String all = each.get("decoded_with_special").stringValue();
        if (!shown.equals(tokenizer.decode(ids, true))
            || !all.equals(tokenizer.decode(ids, false))) {
          wrong.add(text + " -> " + tokenizer.decode(ids, false) + " instead of " + all);
        }
        TokenStream stream = tokenizer.stream(true);
        StringBuilder pieces = new StringBuilder();
        for (int id : ids) {
          pieces.append(stream.append(id));
        }
        assertEquals(tokenizer.decode(ids, true), pieces + stream.finish(), text);
      }
      assertEquals(List.of(), wrong);
      assertEquals(golden.get("size").intValue(), tokenizer.vocabularySize());
    }
  }
}
