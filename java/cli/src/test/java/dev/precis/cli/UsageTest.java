package dev.precis.cli;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Wrong usage gets one sentence and exit code 2; help gets 0 and teaches. */
final class UsageTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "''                                        | A command is missing; see ",
        "generat                                   | did you mean generate?",
        "allign                                    | Unknown command ",
        "generate                                  | --model=",
        "generate --model                          | --model",
        "generat --help                            | Unknown command 'generat', did you mean",
        "generate --modle m --input f              | --modle",
        "generate --model m                        | --input or --prompt is missing",
        "generate --model m --input f --prompt p   | --input and --prompt are mutually exclusive",
        "generate --model m --prompt p --threads x | --threads",
        "generate --model m --seed 1 --threads 2 --seed 3 | --seed is given twice",
        "merge --model m --output o                | --adapter is missing",
        "bench                                     | What to measure is missing",
        "bench generate                            | --model or --size is missing",
        "bench generate --model m --size mini      | --model and --size are mutually exclusive",
        "bench sft --size huge                     | --size must be mini, small, base, large or xl",
        "bench roofline --size huge                | --size must be mini, small, base, large or xl",
        "bench roofline --json nowhere/f.json      | --json must name a file in a folder that"
            + " exists",
        "bench roofline --json .                   | --json must name a file in a folder that"
            + " exists",
        "bench roofline --repeats 0                | --repeats must be 1 or more",
        "bench roofline --device cuda              | bench roofline measures the processor",
        "reward                                    | --output=",
        "evaluate                                  | --candidate=",
        "evaluate --candidate a=b                  | --data or --safety is missing",
        "evaluate --data d.jsonl                   | --candidate=",
        "evaluate --candidate a=b --safety --data d | --safety and --data are mutually exclusive",
        "evaluate --candidate a=b --safety --metrics loss | --safety and --metrics are mutually",
        "evaluate --candidate a=b --data d --probes p | --probes needs --safety",
        "evaluate --candidate a=b --safety --limit 0 | --limit must be 1 or more",
        "evaluate --candidate a=b --safety --toxicity-label x | need each other",
        "rouge                                     | --predictions=",
        "rouge --predictions p.jsonl               | --references=",
        "score --input f                           | --reward-model or --judge is missing",
        "score --reward-model r                    | --input=",
        "data                                      | --output=",
        "compare                                   | RUN",
        "compare run                               | name two or more folders",
        "card                                      | RUN",
        "data --output d --count 9                 | must be 10 to 1000000, not 9",
        "data --output d --count many              | --count",
        "download                                  | ID",
        "download a b                              | Unexpected argument ",
        "doctor --nonsense                         | Unknown option ",
      })
  void namesWhatIsWrong(String line, String sentence) {
    CommandLineRun result = run((Object[]) (line.isEmpty() ? new String[0] : line.split(" ")));
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertOneSentence(result);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--device cuda                  | Device cuda cannot be used: this build of libprecis has"
            + " no CUDA",
        "--device cuda:1                | Device cuda:1 cannot be used: this build of libprecis has"
            + " no CUDA",
        "--device tpu                   | --device must be auto, cpu or cuda[:N]",
        "--dtype float16                | --dtype must be auto, float32, bfloat16, int8 or int4",
        "--threads -1                   | --threads must be 1 or more",
        "--batch-size 0                 | --batch-size must be 1 or more",
        "--max-source-length 1          | --max-source-length must be 2 or more",
        "--max-new-tokens 0             | --max-new-tokens is 0",
        "--min-new-tokens 300           | --min-new-tokens is 300",
        "--num-beams 0                  | --num-beams is 0",
        "--num-return-sequences 2       | --num-return-sequences is 2",
        "--sample --temperature 0       | --temperature is 0",
        "--sample --top-p 1.5           | --top-p is 1.5",
        "--sample --num-beams 2         | --num-beams is 2",
        "--top-k 3                      | need --sample",
        "--length-penalty 2             | need --num-beams above 1",
        "--num-beams 2 --early-stopping=maybe | --early-stopping must be true, false or never",
        "--raw --template {dialogue}    | --raw takes prompts as they are",
        "--shots 2                      | --shots needs --examples",
        "--examples f.jsonl             | --examples needs --shots",
        "--stream --output o            | --stream prints to standard output",
        "--stream --num-beams 2         | --stream shows one sequence",
        "--resume                       | --resume needs the --output file",
        "--template {summary}           | has no {dialogue}",
        "--template no-such-file        | no-such-file does not exist",
        "--model no/such/folder/here    | There is no folder no/such/folder/here",
        "--adapter ./nowhere            | There is no folder ./nowhere",
      })
  void generateRefuses(String options, String sentence) {
    List<Object> args = new ArrayList<>(List.of("generate", "--input", DIALOGUES));
    if (!options.contains("--model")) {
      args.addAll(List.of("--model", MODEL));
    }
    args.addAll(List.of(options.split(" ")));
    CommandLineRun result = run(args.toArray());
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertOneSentence(result);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "generate",
        "evaluate",
        "rouge",
        "score",
        "reward",
        "best-of-n",
        "data",
        "compare",
        "card",
        "demo",
        "download",
        "doctor",
        "bench generate",
        "bench roofline",
        "completion"
      })
  void helpHasExamplesAndTheCommonOptions(String command) {
    CommandLineRun result = run((Object[]) (command + " --help").split(" ")).succeeded();
    assertTrue(result.out().contains("precis " + command), result.out());
    assertTrue(result.out().matches("(?s).*Examples?:.*"), result.out());
    for (String option : List.of("--device", "--dtype", "--threads", "--seed", "--debug")) {
      assertTrue(result.out().contains(option), option);
    }
    assertTrue(result.out().lines().allMatch(line -> line.length() <= 80), result.out());
    assertEquals("", result.err());
  }

  @Test
  void versionIsTheBuildsOwn() {
    CommandLineRun result = run("--version").succeeded();
    assertTrue(result.out().matches("precis \\d+\\.\\d+\\.\\d+\\S*\\R"), result.out());
  }

  @Test
  void traceOnlyWithDebug() {
    CommandLineRun plain = run("generate", "--model", "./nowhere", "--prompt", "x");
    CommandLineRun debug = run("generate", "--model", "./nowhere", "--prompt", "x", "--debug");
    assertFalse(plain.err().contains("\tat "), plain.err());
    assertTrue(debug.err().contains("\tat dev.precis.cli"), debug.err());
    assertEquals(2, debug.exitCode());
  }

  @Test
  void completionKnowsCommandsAndOptions() {
    String script = run("completion").succeeded().out();
    assertTrue(script.contains("--max-new-tokens") && script.contains("complete -F"), script);
  }

  private static void assertOneSentence(CommandLineRun result) {
    assertEquals("", result.out());
    assertEquals(1, result.err().lines().count(), result.err());
    assertTrue(result.err().startsWith("precis: "), result.err());
    assertTrue(result.err().strip().matches("(?s).*[.?!]"), result.err());
  }
}
