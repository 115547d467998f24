package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.Fixtures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CleanUpTest {
  @TempDir Path folder;

  @Test
  void takesTheSpacesBeforePunctuationAndContractions() {
    assertEquals("It's ok, isn't it? No!", CleanUp.apply("It 's ok , is n't it ? No !"));
    assertEquals("I've, we're, I'm.", CleanUp.apply("I 've , we 're , I 'm ."));
    assertEquals("rock'n", CleanUp.apply("rock ' n"));
    assertEquals(" a  b", CleanUp.apply(" a  b"));
  }

  @Test
  void partsAddUpToTheWhole() {
    Random random = new Random(5);
    String letters = "    '''.,?!nt msvrex\uD83D\uDE00";
    CleanUp cleanUp = new CleanUp();
    for (int round = 0; round < 5_000; round++) {
      StringBuilder text = new StringBuilder();
      StringBuilder clean = new StringBuilder();
      for (int i = random.nextInt(round % 50 == 0 ? 400 : 30); i > 0; i--) {
        int at = letters.offsetByCodePoints(0, random.nextInt(21));
        String part = Character.toString(letters.codePointAt(at)).repeat(1 + random.nextInt(2));
        text.append(part);
        String piece = cleanUp.append(part);
        clean.append(piece);
      }
      clean.append(cleanUp.finish());
      assertEquals(CleanUp.apply(text.toString()), clean.toString());
    }
  }

  @Test
  void theConfigurationTurnsItOn() throws IOException {
    Path t5 = Fixtures.resource("fixtures/t5-tiny");
    Files.copy(t5.resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(config, "{\"clean_up_tokenization_spaces\": true}");
    try (Tokenizer plain = Tokenizer.load(t5);
        Tokenizer clean = Tokenizer.load(folder)) {
      int[] ids = plain.encode("he did , did he ? ok .", false);
      assertEquals("he did , did he ? ok .", plain.decode(ids, true));
      assertEquals("he did, did he? ok.", clean.decode(ids, true));
      TokenStream stream = clean.stream(true);
      StringBuilder text = new StringBuilder();
      for (int id : ids) {
        text.append(stream.append(id));
      }
      assertEquals("he did, did he? ok.", text + stream.finish());
    }
  }
}
