package dev.precis.cli.serve;

import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code precis serve}: what it refuses. scripts/test-launcher starts it and ends it. */
final class ServeTest {
  private static final String KEY = "a-key-of-more-than-16-characters";

  private static void assertRefused(String sentence, CommandLineRun result) {
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertFalse(result.err().contains(KEY), result.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--host 0.0.0.0 | --api-key-file",
        "--host no-such-host.invalid | is no address",
        "--port 70000 | --port must be from 0 to 65535",
        "--tls-key key.pem | need each other",
        "--tls-certificate none.pem --tls-key none.pem | none.pem cannot be read",
        "--api-key-file none | none does not exist",
        "--max-tokens 0 | --max-tokens must be 1 or more",
        "--template Summarize{it} | placeholder",
        "--adapter tuned | [MODEL:]NAME=ADAPTER",
        "--adapter none:tuned=ADAPTER | none of this name",
        "--adapter t5-tiny=ADAPTER | Two models have the name",
        "--model t5-tiny=CLASSIFIER | Two models have the name",
        "--adapter scaled=IA3 | an IA3 adapter, not a LoRA adapter: load a model of its own with",
        "--adapter prompt=PROMPT | a soft prompt, not a LoRA adapter: load a model of its own with",
        "--model both=T5+PROMPT+PROMPT | are both soft prompts",
        "--model one=T5+ | --model must be [NAME=]MODEL[+ADAPTER]...",
        "--model one=CLASSIFIER+IA3 | is a classifier, which is served without adapters",
        "--model CLASSIFIER --moderation-label rude | has no label rude",
        "--model ../x=CLASSIFIER | is no name for a model",
      })
  void whatCannotBeIsRefusedInOneSentence(String options, String sentence) {
    String[] given =
        options
            .replace("ADAPTER", FIXTURES.resolve("t5-tiny-lora").toString())
            .replace("CLASSIFIER", FIXTURES.resolve("roberta-tiny").toString())
            .replace("IA3", FIXTURES.resolveSibling("peft/ia3").toString())
            .replace("PROMPT", FIXTURES.resolveSibling("peft/prompt").toString())
            .replace("=T5", "=" + MODEL)
            .split(" ");
    Object[] arguments = new Object[given.length + 3];
    arguments[0] = "serve";
    arguments[1] = "--model";
    arguments[2] = MODEL;
    System.arraycopy(given, 0, arguments, 3, given.length);
    assertRefused(sentence, run(arguments));
  }

  @Test
  void aKeyIsCheckedAndNotShown(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("key"), KEY + " and more");
    assertRefused("without spaces", run("serve", "--model", MODEL, "--api-key-file", file));
    assertRefused(
        "PRECIS_API_KEY must hold a key of 16",
        run(Map.of("PRECIS_API_KEY", "short"), "serve", "--model", MODEL));
  }

  @Test
  void aPortThatIsTakenIsNamed() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      assertRefused(
          "Cannot listen on 127.0.0.1, port " + taken.getLocalPort(),
          run("serve", "--model", MODEL, "--port", taken.getLocalPort()));
    }
  }
}
