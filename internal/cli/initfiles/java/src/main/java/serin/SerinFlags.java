package serin;

import com.google.common.collect.ImmutableList;
import com.google.common.collect.ImmutableMap;
import dev.openfeature.contrib.providers.ofrep.OfrepProvider;
import dev.openfeature.contrib.providers.ofrep.OfrepProviderOptions;
import dev.openfeature.sdk.FlagEvaluationDetails;
import dev.openfeature.sdk.MutableContext;
import dev.openfeature.sdk.OpenFeatureAPI;
import io.sentry.Sentry;
import io.sentry.protocol.User;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Connects this app with serin: errors by Sentry's SDK, flags by OpenFeature's.
 *
 * <p>Call connect once at the start. It needs SERIN_URL, SERIN_SERVER_KEY and SERIN_DSN in the
 * environment. SERIN_OFF lists flags (comma between) that are false whatever serin says, for the
 * day on which it cannot be asked.
 */
public final class SerinFlags {
    /** The longest that a request waits for serin. */
    private static final Duration TIMEOUT = Duration.ofMillis(800);

    /** Threads that may wait for serin at the same time; one evaluation more gets the default. */
    private static final int MOST_WAITING = 32;

    // The provider's own time limit covers the connection only, not the answer: so each evaluation
    // waits in a thread of its own, and its caller only for TIMEOUT.
    private static final ExecutorService ASKING =
            new ThreadPoolExecutor(0, MOST_WAITING, 60, TimeUnit.SECONDS, new SynchronousQueue<>(), task -> {
                Thread thread = new Thread(task, "serin-flags");
                thread.setDaemon(true);
                return thread;
            });

    private SerinFlags() {}

    /** Starts both SDKs. It does not wait for serin; without it every flag has its default. */
    public static void connect() {
        Sentry.init(options -> {
            options.setDsn(env("SERIN_DSN", "")); // an empty one sends nothing
            options.setRelease(System.getenv("RELEASE"));
            options.setEnvironment(env("ENVIRONMENT", "production"));
        });
        OfrepProviderOptions options = OfrepProviderOptions.builder()
                .baseUrl(env("SERIN_URL", "http://127.0.0.1:8750"))
                .headers(ImmutableMap.of("X-API-Key", ImmutableList.of(env("SERIN_SERVER_KEY", ""))))
                .timeout(TIMEOUT)
                .build();
        OpenFeatureAPI.getInstance().setProvider(OfrepProvider.constructProvider(options));
    }

    /**
     * Evaluates a boolean flag; errors of this request from now on say which variant it was. The
     * user's id is the targeting key and the telemetry's user id: they must be the same. Without an
     * answer it is false.
     */
    public static boolean enabled(String flag, String userId, Map<String, String> attributes) {
        User user = new User();
        user.setId(userId);
        Sentry.setUser(user);
        if (Arrays.asList(env("SERIN_OFF", "").split(",")).contains(flag)) {
            return false;
        }
        MutableContext context = new MutableContext(userId);
        attributes.forEach(context::add);
        FlagEvaluationDetails<Boolean> details;
        try {
            details = CompletableFuture.supplyAsync(
                            () -> OpenFeatureAPI.getInstance().getClient().getBooleanDetails(flag, false, context), ASKING)
                    .get(TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        } catch (Exception e) { // no answer in time, or too many wait for one
            return false;
        }
        if (details.getErrorCode() == null) {
            String variant = details.getVariant();
            Sentry.setTag("flag." + flag, variant != null ? variant : String.valueOf(details.getValue()));
        }
        return details.getValue();
    }

    private static String env(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }
}
