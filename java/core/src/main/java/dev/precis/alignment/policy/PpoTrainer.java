package dev.precis.alignment.policy;

import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.Score;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.MemoryPlan;
import dev.precis.training.DivergedException;
import dev.precis.training.RunFolder;
import dev.precis.training.RunState;
import dev.precis.training.StepLog;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.DoubleStream;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Aligns a policy to a reward and writes the run to a {@link RunFolder}: {@code metrics.jsonl} with
 * TRL's names, {@code rollouts.jsonl} with every response and its score, and {@code
 * preflight.json}.
 *
 * <p>Each step is a function of the options, the step's number and the last checkpoint, so that a
 * run that is killed at any moment resumes bitwise identically.
 *
 * <p>Not thread-safe, except {@link #stop}.
 */
public final class PpoTrainer implements AutoCloseable {
  /** Receives the events of a run. */
  public interface Listener {
    /** Reports the checks before the first update, all of which passed. */
    default void onPreflight(Preflight preflight) {}

    /** Reports a finished step. */
    default void onStep(Step step) {}

    /** Reports a checkpoint that is on disk. */
    default void onCheckpoint(long step) {}

    /** Reports a rollback to a checkpoint. */
    default void onRollback(long toStep, String reason) {}
  }

  /**
   * Statistics of one step.
   *
   * @param step from 1
   * @param statistics statistics under TRL's names
   */
  public record Step(long step, long totalSteps, double seconds, Map<String, Double> statistics) {}

  /** Reasons for the end of a run. */
  public enum End {
    DONE,
    INTERRUPTED
  }

  /** Outcome of a run. */
  public record Result(End end, long steps, int rollbacks) {}

  private static final long EPOCH = 0x65706f6368L;

  private final Ppo ppo;
  private final PpoOptions options;
  private final List<Prompt> prompts;
  private final Reward reward;
  private final RunFolder run;
  private final RunState state;
  private final boolean sameAsReference;
  private Set<String> checksOff = Set.of();
  private Watchdog watchdog;
  private StepLog rollouts;
  private volatile boolean stopped;
  private long done;
  private int rollbacks;
  private long epoch = -1;
  private int[] order;

  /**
   * Prepares a run, which starts from the beginning unless it is resumed.
   *
   * @param ppo the caller owns it, the reward and the run, and must close them
   * @param prompts prompts to sample responses for, in a new order in each epoch
   * @param sameAsReference whether the policy must start as its reference: the run then refuses to
   *     start if it does not
   */
  public PpoTrainer(
      Ppo ppo, List<Prompt> prompts, Reward reward, RunFolder run, boolean sameAsReference) {
    if (prompts.isEmpty()) {
      throw new InvalidInputException("There is no prompt to respond to.");
    }
    this.ppo = ppo;
    this.options = ppo.options();
    this.prompts = List.copyOf(prompts);
    this.reward = reward;
    this.run = run;
    this.sameAsReference = sameAsReference;
    List<Parameter> head = ppo.head() == null ? List.of() : ppo.head().parameters().all();
    state = new RunState(run, ppo.policy(), head, ppo.optimizers());
    watchdog = new Watchdog(options);
  }

  /** Returns the memory that the run needs without the reward, see {@link Ppo#plan}. */
  public MemoryPlan plan() {
    return ppo.plan(prompts);
  }

  /** Returns the number of steps of the whole run. */
  public long totalSteps() {
    return options.schedule().maxSteps();
  }

  /** Returns the number of steps that are done. */
  public long done() {
    return done;
  }

  /** Ends the run after the present step, with a checkpoint. */
  public void stop() {
    stopped = true;
  }

  /** Resumes from the newest checkpoint; without one, starts from the beginning. */
  public void resume() {
    state.resume(this::continueFrom);
  }

  /**
   * Aligns to the end, or until {@link #stop}.
   *
   * @throws InvalidInputException where a preflight check fails
   * @throws DivergedException where the watchdog ends the run; its last checkpoint is complete
   */
  public Result train(Listener listener) {
    if (run.checkpoints().isEmpty()) {
      Preflight preflight = preflight();
      ObjectNode json = Json.mapper().createObjectNode();
      json.set("checks", preflight.toJson());
      if (!checksOff.isEmpty()) {
        ArrayNode off = json.putArray("switched_off");
        Preflight.NAMES.stream().filter(checksOff::contains).forEach(off::add);
      }
      run.write("preflight.json", json.toPrettyString() + "\n");
      preflight.require();
      listener.onPreflight(preflight);
      // The watchdog rolls back to this one until the run has another.
      write();
    }
    while (done < options.schedule().maxSteps() && !stopped) {
      Optional<String> wrong = Optional.empty();
      long at = done + 1;
      try {
        Step step = step();
        listener.onStep(step);
        wrong = watchdog.check(step.statistics);
      } catch (DivergedException e) {
        wrong = Optional.of(e.getMessage());
      }
      if (wrong.isPresent()) {
        rollBack(at, wrong.get(), listener);
      } else if (done == options.schedule().maxSteps()
          || stopped
          || done % options.schedule().checkpointEvery() == 0) {
        write();
        listener.onCheckpoint(done);
      }
    }
    run.begin();
    if (done < options.schedule().maxSteps()) {
      return new Result(End.INTERRUPTED, done, rollbacks);
    }
    state.writeResult();
    return new Result(End.DONE, done, rollbacks);
  }

  /** Returns the name of the result's folder in the run. */
  public String resultName() {
    return ppo.policy().resultName();
  }

  /** Runs the checks that precede the first update; nothing is changed. */
  public Preflight preflight() {
    try {
      return Preflight.of(ppo, ppo.rollout(batch(0), 0), reward, sameAsReference, checksOff);
    } finally {
      ppo.policy().ops().release();
    }
  }

  /**
   * Switches preflight checks off.
   *
   * @param names of {@link Preflight#NAMES}
   * @throws InvalidInputException where there is no check of a name
   */
  public void withoutChecks(Set<String> names) {
    for (String name : names) {
      if (!Preflight.NAMES.contains(name)) {
        throw new InvalidInputException(
            "There is no preflight check '%s'; the checks are: %s"
                .formatted(name, String.join(", ", Preflight.NAMES)));
      }
    }
    checksOff = Set.copyOf(names);
  }

  private void rollBack(long at, String reason, Listener listener) {
    if (rollbacks == options.watchdog().maxRollbacks()) {
      throw new DivergedException(
          "Stopped at step %,d after %d rollbacks: %s. The last checkpoint is complete."
              .formatted(at, rollbacks, reason));
    }
    int before = rollbacks;
    List<Long> checkpoints = run.checkpoints();
    if (checkpoints.size() > 1 && at <= checkpoints.getLast() + 1) {
      // If the first step after this checkpoint is already wrong, so is the checkpoint.
      run.removeCheckpoint(checkpoints.getLast());
    }
    continueFrom(state.load(run.newestCheckpoint().orElseThrow()));
    rollbacks = before + 1;
    restore(ppo.updates());
    // Saved at once, so that a run that is stopped here does not repeat the rollback.
    write();
    run.openMetrics(done);
    openRollouts();
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", done);
    line.put("watchdog", reason);
    line.put("at_step", at);
    run.metric(line);
    listener.onRollback(done, reason);
  }

  /** Changes the random numbers after a rollback, and halves the learning rate for each. */
  private void restore(long updates) {
    ppo.restore(updates, rollbacks, (float) Math.pow(0.5, rollbacks));
  }

  private void openRollouts() {
    if (rollouts != null) {
      rollouts.close();
    }
    rollouts = run.log("rollouts.jsonl", done);
  }

  /** Returns the prompts of a step, counted from 0. */
  private List<Prompt> batch(long step) {
    List<Prompt> batch = new ArrayList<>();
    int n = prompts.size();
    for (int i = 0; i < options.batch().prompts(); i++) {
      long at = step * options.batch().prompts() + i;
      if (at / n != epoch) {
        epoch = at / n;
        order = new int[n];
        for (int k = 0; k < n; k++) {
          order[k] = k;
        }
        new SplitMix64(SplitMix64.mix(options.seed(), EPOCH, epoch)).shuffle(order);
      }
      batch.add(prompts.get(order[(int) (at % n)]));
    }
    return batch;
  }

  /**
   * Scores a rollout's responses.
   *
   * @throws InvalidInputException where a score is not a number
   */
  public static List<Score> score(Rollout rollout, Reward reward) {
    List<Completion> completions = new ArrayList<>();
    for (int i = 0; i < rollout.texts().size(); i++) {
      Prompt prompt = rollout.prompts().get(i / rollout.perPrompt());
      completions.add(prompt.completion(rollout.texts().get(i)));
    }
    return reward.checked(completions);
  }

  /**
   * Runs one step: rollout, scores, update.
   *
   * @throws IllegalStateException where the loss or the gradient is not finite
   */
  public Step step() {
    try {
      return runStep();
    } finally {
      ppo.policy().ops().release();
    }
  }

  private Step runStep() {
    long start = System.nanoTime();
    Rollout rollout = ppo.rollout(batch(done), done);
    long rolled = System.nanoTime();
    List<Score> scores = score(rollout, reward);
    double scored = (System.nanoTime() - rolled) / 1e9;
    Map<String, Double> statistics =
        new LinkedHashMap<>(
            ppo.update(rollout, scores.stream().mapToDouble(Score::value).toArray()));
    Map<String, Double> terms = new LinkedHashMap<>();
    for (Score each : scores) {
      each.terms().forEach((name, value) -> terms.merge(name, value / scores.size(), Double::sum));
    }
    terms.forEach((name, value) -> statistics.put("reward/" + name, value));
    statistics.put("time/ppo/reward", scored);
    done++;
    run.begin();
    double seconds = (System.nanoTime() - start) / 1e9;
    statistics.put("time/ppo/total", seconds);
    Step step = new Step(done, options.schedule().maxSteps(), seconds, statistics);
    log(step, rollout, scores);
    return step;
  }

  private void log(Step step, Rollout rollout, List<Score> scores) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", step.step);
    step.statistics.forEach(
        (name, value) ->
            line.put(name, name.startsWith("time/") ? Math.round(value * 1e4) / 1e4 : value));
    double[] penalties = rollout.sequencePenalties();
    // TRL's responses begin with the start token.
    int start = options.mode().trainsFirstToken() ? 0 : 1;
    list(line, "objective/kl_dist", Arrays.stream(penalties));
    list(line, "env/reward_dist", scores.stream().mapToDouble(Score::value));
    list(
        line,
        "tokens/queries_dist",
        rollout.prompts().stream().mapToDouble(prompt -> prompt.source().length));
    list(
        line,
        "tokens/responses_dist",
        rollout.samples().stream().mapToDouble(sample -> sample.tokens().length + start));
    run.metric(line);
    if (rollouts == null) {
      rollouts = run.log("rollouts.jsonl", done - 1);
    }
    for (int i = 0; i < scores.size(); i++) {
      ObjectNode each = Json.mapper().createObjectNode();
      each.put("step", step.step);
      each.put("id", rollout.prompts().get(i / rollout.perPrompt()).id());
      each.put("response", rollout.texts().get(i));
      each.put("tokens", rollout.samples().get(i).tokens().length);
      each.put("score", scores.get(i).value());
      each.put("kl", penalties[i]);
      if (scores.get(i).terms().size() > 1) {
        ObjectNode its = each.putObject("terms");
        scores.get(i).terms().forEach(its::put);
      }
      rollouts.add(each);
    }
  }

  private static void list(ObjectNode line, String name, DoubleStream values) {
    ArrayNode list = line.putArray(name);
    values.forEach(list::add);
  }

  private void write() {
    state.save(
        done,
        json -> {
          json.put("updates", ppo.updates());
          json.put("kl_coef", ppo.kl().coefficient());
          json.put("rollbacks", rollbacks);
          ppo.moments().writeTo(json.putObject("score_moments"));
          watchdog.writeTo(json.putObject("watchdog"));
        });
    run.prune(options.schedule().keepCheckpoints(), -1);
  }

  private void continueFrom(JsonObject position) {
    if (ppo.head() != null) {
      ppo.head().update();
    }
    done = position.whole("step", 0, Long.MAX_VALUE);
    rollbacks = position.integer("rollbacks", 0, Integer.MAX_VALUE);
    restore(position.whole("updates", 0, Long.MAX_VALUE));
    double coefficient = position.number("kl_coef");
    if (coefficient < 0) {
      throw position.wrong("kl_coef", "0 or more");
    }
    ppo.kl().restore(coefficient);
    ppo.moments().read(position.object("score_moments"));
    watchdog = new Watchdog(options);
    watchdog.read(position.object("watchdog"));
  }

  @Override
  public void close() {
    if (rollouts != null) {
      rollouts.close();
    }
  }
}
