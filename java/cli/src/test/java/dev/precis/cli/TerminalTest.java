package dev.precis.cli;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.common.SafeText;
import dev.precis.cli.common.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Output at a terminal is harmless, no wider than 80 columns, and in the order of events. */
final class TerminalTest {
  private static final String NASTY =
      "a\u001b]0;owned\u0007\u001b[2Jb\u202egnp\u2066\u200b\u0085\u2028\ufeff\udb40\udc41\u3164z";

  private static void assertHarmless(String text) {
    text.codePoints()
        .filter(c -> c != '\n')
        .forEach(
            c ->
                assertFalse(
                    Character.isISOControl(c)
                        || Character.getType(c) == Character.FORMAT
                        || Character.getType(c) == Character.LINE_SEPARATOR
                        || c == 0x3164,
                    () -> "U+%04X in %s".formatted(c, text)));
  }

  @Test
  void charactersThatSteerATerminalAreShown() {
    assertEquals(
        "a\\u001b]0;owned\\u0007\\u001b[2Jb\\u202egnp\\u2066\\u200b\\u0085\\u2028\\ufeff"
            + "\\udb40\\udc41\\u3164z",
        SafeText.escape(NASTY));
    assertEquals("\\ud800 \\udc00", SafeText.escape("\ud800 \udc00"));
    for (String plain : List.of("", "Größe: 5 €", "日本語", "😀", "one\n\ttwo", "e\u0301")) {
      assertEquals(plain, SafeText.escape(plain));
    }
    assertEquals("one\\n\\ttwo\\r", SafeText.line("one\n\ttwo\r"));
  }

  @Test
  void messagesShowWhatTheyQuote() {
    for (String name : List.of("m\u001b[31m", "m\u202ex", "m\nprecis: all is well", "m\u009b2J")) {
      CommandLineRun failed = run("generate", "--model", name, "--prompt", "hi");
      assertEquals(2, failed.exitCode());
      assertHarmless(failed.err());
      assertEquals(1, failed.err().lines().count(), failed.err());
    }
    CommandLineRun unknown = run("train", "--no\u001b[2Jsuch");
    assertHarmless(unknown.err());
  }

  @Test
  void aTerminalGetsEscapesAndAPipeTheText() {
    for (boolean shown : new boolean[] {true, false}) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      ByteArrayOutputStream err = new ByteArrayOutputStream();
      Terminal terminal = new Terminal(out, new PrintStream(err, true), Map.of(), shown, shown);
      terminal.println(NASTY);
      terminal.err().println(NASTY);
      terminal.err().printf("%s%n", NASTY);
      String printed = out.toString(StandardCharsets.UTF_8);
      assertEquals((shown ? SafeText.escape(NASTY) : NASTY) + System.lineSeparator(), printed);
      assertHarmless(err.toString(StandardCharsets.UTF_8));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "generate",
        "evaluate",
        "rouge",
        "score",
        "data",
        "demo",
        "train",
        "align",
        "reward",
        "best-of-n",
        "merge",
        "download",
        "doctor",
        "bench generate",
        "bench sft",
        "bench ppo",
        "bench roofline",
        "completion"
      })
  void helpFits(String command) {
    String[] words = (command + " --help").split(" ");
    CommandLineRun help = run((Object[]) words).succeeded();
    for (String line : help.out().lines().toList()) {
      assertTrue(line.length() <= 80, line);
    }
    if (!command.contains(" ")) {
      assertEquals(help.out(), run("help", command).succeeded().out());
      assertEquals(help.out(), run(command, "-h").succeeded().out());
    }
  }

  @Test
  void helpOfNothingIsThatOfAll() {
    String all = run("--help").succeeded().out();
    assertEquals(all, run("help").succeeded().out());
    assertTrue(all.lines().allMatch(line -> line.length() <= 80), all);
    CommandLineRun unknown = run("help", "trian");
    assertEquals(2, unknown.exitCode());
    assertTrue(unknown.err().contains("did you mean train"), unknown.err());
  }

  @ParameterizedTest
  @CsvSource({
    "train, --lr 1e-4, --learning-rate",
    "train, --learning_rate=1e-4, --learning-rate",
    "train, --num-train-epochs 3, --epochs",
    "train, --num_train_epochs=3, --epochs",
    "train, --lora-r 8, --rank",
    "train, --lora_r 8, --rank",
    "train, --per-device-train-batch-size 8, --batch-size",
    "train, --gradient-accumulation-steps 8, --gradient-accumulation",
    "train, --gradient_checkpointing, --recompute",
    "train, --max-length 512, --max-source-length",
    "train, --max-completion-length 64, --max-target-length",
    "train, --output-dir x, --output",
    "train, --model-name-or-path x, --model",
    "train, --bf16, --dtype",
    "generate, --max-length 512, --max-new-tokens",
    "generate, --do-sample, --sample",
    "align, --num-generations 4, --group-size",
    "align, --init_kl_coef 0.1, --kl-coef",
    "align, --max-completion-length 64, --max-new-tokens",
    "reward, --optim adamw, --optimizer"
  })
  void otherProgramsNamesSayOurs(String command, String options, String ours) {
    Object[] words = (command + " " + options).split(" ");
    CommandLineRun refused = run(words);
    assertEquals(2, refused.exitCode());
    assertTrue(refused.err().contains("did you mean " + ours + "?"), refused.err());
  }

  @Test
  void eventsAreToldInTheirOrder(@TempDir Path folder) {
    Path output = folder.resolve("a run");
    Object[] words = {
      "align",
      "--model",
      MODEL,
      "--data",
      DIALOGUES,
      "--output",
      output,
      "--reward",
      "rouge:rouge1",
      "--max-steps",
      20,
      "--batch-size",
      2,
      "--mini-batch-size",
      2,
      "--max-new-tokens",
      2,
      "--ppo-epochs",
      1
    };
    String err = run(words).succeeded().err();
    List<String> lines = err.lines().toList();
    int preflight = indexOf(lines, "preflight: kl_at_start");
    int first = indexOf(lines, "step 2/20");
    assertTrue(preflight >= 0 && first > preflight, err);
    assertEquals(10, lines.stream().filter(line -> line.startsWith("step ")).count(), err);
    assertTrue(lines.getLast().startsWith("Next: precis generate --model "), err);
    assertTrue(lines.getLast().contains("--adapter '" + output.resolve("adapter") + "'"), err);
    assertTrue(err.contains("Report: " + output.resolve("report.html")), err);
    assertHarmless(err);
    Object[] quiet = Arrays.copyOf(words, words.length + 1);
    quiet[6] = folder.resolve("quiet");
    quiet[words.length] = "--quiet";
    assertEquals("", run(quiet).succeeded().err());
  }

  private static int indexOf(List<String> lines, String start) {
    for (int i = 0; i < lines.size(); i++) {
      if (lines.get(i).startsWith(start)) {
        return i;
      }
    }
    return -1;
  }
}
