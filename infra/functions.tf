# The functions: what is deployed is what functions/main.py has entry points for (tests/infra/test_functions.py), and
# every setting of functions/pitwall/settings.py is set here but those that tests/infra/test_settings.py lists with the reason.

locals {
  functions = {
    api = {
      does        = "Serves /api over HTTP"
      memory      = "512Mi"
      concurrency = 16
      instances   = var.api_instances
      timeout_s   = 60
      public      = true
    }
    economy = {
      does        = "Saves as the budget is spent"
      memory      = "512Mi"
      concurrency = 1
      instances   = { min = 0, max = 1 }
      timeout_s   = 60
      public      = false
    }
    jobs = {
      does        = "Fetches and computes history, a job at a time"
      memory      = "2Gi"
      concurrency = 1
      instances   = { min = 0, max = 3 }
      timeout_s   = 540
      public      = false
    }
    karts = {
      does        = "Holds the kart tracks that are on, or stands by"
      memory      = "1Gi"
      concurrency = 1
      instances   = { min = 0, max = 3 }
      timeout_s   = 1800
      public      = false
    }
    poller = {
      does        = "Holds the feed, or stands by"
      memory      = "512Mi"
      concurrency = 1
      instances   = { min = 0, max = var.poller_max_instances }
      timeout_s   = 1800
      public      = false
    }
    reconciler = {
      does        = "Corrects the last session once its archive is complete"
      memory      = "1Gi"
      concurrency = 1
      instances   = { min = 0, max = 1 }
      timeout_s   = 1800
      public      = false
    }
    recorder = {
      does        = "Stores the feed's raw messages in Cloud Storage"
      memory      = "512Mi"
      concurrency = 8
      instances   = { min = 0, max = 3 }
      timeout_s   = 60
      public      = false
    }
    schedule = {
      does        = "Writes the season's calendar, and what is to be polled"
      memory      = "1Gi"
      concurrency = 1
      instances   = { min = 0, max = 1 }
      timeout_s   = 600
      public      = false
    }
    writer = {
      does        = "Stores documents in Firestore"
      memory      = "512Mi"
      concurrency = 8
      instances   = { min = 0, max = 5 }
      timeout_s   = 60
      public      = false
    }
  }

  # Settings with their defaults, as an operator may set them with the variable `settings`.
  defaults = {
    PITWALL_SPEED                  = "1"
    PITWALL_SCHEDULE               = "on"
    PITWALL_EARLY_S                = "1800"
    PITWALL_LATE_S                 = "14400"
    PITWALL_QUIET_S                = "300"
    PITWALL_SILENCE_S              = "35"
    PITWALL_CONNECT_S              = "10"
    PITWALL_BACKOFF_S              = "60"
    PITWALL_KART_STALE_S           = "300"
    PITWALL_KART_ATTEMPTS          = "0"
    PITWALL_KART_POLL_S            = "2"
    PITWALL_RACEMONITOR_URL        = "https://api.race-monitor.com"
    PITWALL_F1_URL                 = "https://livetiming.formula1.com"
    PITWALL_HISTORY                = "f1,fastf1"
    PITWALL_JOLPICA_URL            = "https://api.jolpi.ca/ergast/f1"
    PITWALL_F1SCHEDULE_URL         = "https://raw.githubusercontent.com/theOehrly/f1schedule/master"
    PITWALL_MULTIVIEWER_URL        = "https://api.multiviewer.app/api/v1"
    PITWALL_OPENF1_URL             = "https://api.openf1.org"
    PITWALL_LEASE_TTL_S            = "10"
    PITWALL_LEASE_RENEW_S          = "3"
    PITWALL_CHECKPOINT_S           = "5"
    PITWALL_REMEMBER_S             = "60"
    PITWALL_INVOCATION_S           = "1740"
    PITWALL_HANDOVER_S             = "20"
    PITWALL_JOB_S                  = "480"
    PITWALL_TELEMETRY_CARS         = "4"
    PITWALL_KART_TRACKS            = "20"
    PITWALL_ENVELOPE_BYTES         = "262144"
    PITWALL_RAW_BATCH_S            = "5"
    PITWALL_RAW_BATCH_BYTES        = "262144"
    PITWALL_TELEMETRY_SIGNED_BYTES = "4194304"
    PITWALL_ECONOMY_SLOW_AT        = "0.8"
    PITWALL_ECONOMY_CLOSED_AT      = "1"
    PITWALL_RULES_URL              = "https://firebaserules.googleapis.com"
    PITWALL_PROXIES                = "1"
    PITWALL_RATE_LIMIT_ADDRESS     = "3000"
    PITWALL_RATE_LIMIT_KEY         = "6000"
    PITWALL_METRICS_URL            = ""
    PITWALL_METRICS_S              = "60"
    PITWALL_LOG_LEVEL              = "INFO"
  }

  # What follows from the deployment, or has a variable of its own.
  wired = {
    GOOGLE_CLOUD_PROJECT        = var.project
    PITWALL_FEED                = var.feed
    PITWALL_SOURCE              = var.source_of
    PITWALL_FALLBACK            = var.source_of == "f1" ? var.fallback : ""
    PITWALL_OPENF1_USERNAME     = var.openf1_username
    PITWALL_F1_TOKEN_SECRET     = contains(var.secrets_with_values, "f1tv-token") ? "projects/${var.project}/secrets/f1tv-token/versions/latest" : ""
    PITWALL_TOPIC_TIMING        = "timing"
    PITWALL_TOPIC_EVENTS        = "events"
    PITWALL_TOPIC_RAW           = "raw"
    PITWALL_TOPIC_BUDGET        = "budget"
    PITWALL_TOPIC_JOBS          = "jobs"
    PITWALL_PUBSUB_ENDPOINT     = "${var.region}-pubsub.googleapis.com:443"
    PITWALL_RAW_BUCKET          = local.raw_bucket
    PITWALL_TELEMETRY_BUCKET    = local.telemetry_bucket
    PITWALL_CORS_ORIGINS        = join(",", var.cors_origins)
    PITWALL_PUBLIC              = var.public ? "on" : "off"
    PITWALL_APP_CHECK           = var.app_check ? "on" : "off"
    PITWALL_KART_RETENTION_DAYS = tostring(var.kart_retention_days)
    PITWALL_REVISION            = var.revision
  }

  # What only one function is given.
  of_function = {
    economy = {
      PITWALL_RULES_OPEN   = module.rules.rulesets.open
      PITWALL_RULES_CLOSED = module.rules.rulesets.closed
    }
  }

  secrets = {
    f1tv-token      = "F1TV subscription token, PITWALL_F1_TOKEN_SECRET"
    openf1-token    = "OpenF1 access token, PITWALL_OPENF1_TOKEN"
    openf1-password = "Password of the OpenF1 account, PITWALL_OPENF1_PASSWORD"
    rate-limit      = "What addresses are hashed with that are counted, PITWALL_RATE_LIMIT_SECRET"
  }

  # Secrets that are environment variables, by function. The F1TV token is none: the poller reads it at every connection.
  secrets_of = {
    poller = { PITWALL_OPENF1_TOKEN = "openf1-token", PITWALL_OPENF1_PASSWORD = "openf1-password" }
    api    = { PITWALL_RATE_LIMIT_SECRET = "rate-limit" }
  }
}
