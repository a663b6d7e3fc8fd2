export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description An action on a resource. */
        Access: {
            action?: string | null;
            /** @description `allow`, or nothing. */
            effect?: string | null;
            resource?: string | null;
        };
        /** @description What a member may do. */
        AccessRow: {
            /** @description `user` or `group`. */
            kind: string;
            name: string;
            /** @description `RESOURCE:ACTION` for each that the role allows, without what everyone may do in a public project. */
            permissions: string[];
            role: string;
        };
        /** @description An accessory in the API. */
        Accessory: {
            /** Format: int64 */
            artifact_id: number;
            creation_time: string;
            digest: string;
            icon: string;
            /** Format: int64 */
            id: number;
            /** Format: int64 */
            size: number;
            subject_artifact_digest: string;
            /** Format: int64 */
            subject_artifact_id: number;
            subject_artifact_repo: string;
            type: string;
        };
        /** @description What is possible before signing in. */
        AccountOptions: {
            /** @description Whether a new account can sign in only once its address is verified. */
            address_verified: boolean;
            /** @description Whether a new password can be set by a mailed link: mail is set up, and a mail was sent with these settings. */
            password_reset: boolean;
            /** @description Whether people may register: `self_registration` is on, and no directory is configured. */
            self_registration: boolean;
        };
        /** @description Where obtaining a certificate by ACME stands. */
        AcmeStatus: {
            challenge: string;
            /** @description False if `[acme]` names no server: then all other fields are empty. */
            configured: boolean;
            directory: string;
            /** @description When the last attempt failed. */
            failed_at?: string | null;
            /**
             * Format: int64
             * @description Failed attempts since the last that succeeded.
             */
            failures: number;
            /** @description What happened at the last attempt, if it failed. */
            message?: string | null;
            names: string[];
            /** @description When the next attempt is made, or the server is asked when to renew. */
            next_at?: string | null;
            /**
             * @description Why the last attempt failed: `unreachable`, `rate_limited`, `account`, `own_address`, `validation`, `rejected`,
             *     `command`, `clock` or `server`.
             */
            reason?: string | null;
            /** @description When the certificate is renewed. */
            renew_at?: string | null;
            /** @description `due`, `ordering`, `valid` or `failed`; empty if nothing is obtained by ACME. */
            state: string;
        };
        /** @description The body of `PUT /jobservice/queues/{job_type}`. */
        ActionRequest: {
            action?: string | null;
        };
        /** @description The body of `POST …/members`. */
        AddMember: {
            member_group?: components["schemas"]["UserGroup"] | null;
            member_user?: components["schemas"]["UserEntity"] | null;
            /** Format: int64 */
            role_id?: number | null;
        };
        /** @description Where an addition is. */
        AdditionLink: {
            absolute: boolean;
            href: string;
        };
        /** @description The project's own exceptions from vulnerability rules: none can be added yet. */
        Allowlist: {
            creation_time: string;
            /** Format: int64 */
            id?: number | null;
            items?: Record<string, never>[] | null;
            /** Format: int64 */
            project_id?: number | null;
            update_time: string;
        };
        /** @description The part of a project's exceptions from vulnerability rules that is checked. */
        AllowlistRequest: {
            /** Format: int64 */
            project_id?: number | null;
        };
        /** @description An artifact in the API. */
        Artifact: {
            accessories?: components["schemas"]["Accessory"][] | null;
            addition_links?: {
                [key: string]: components["schemas"]["AdditionLink"];
            };
            annotations?: {
                [key: string]: string;
            } | null;
            artifact_type?: string | null;
            digest: string;
            extra_attrs?: {
                [key: string]: Record<string, never>;
            } | null;
            icon: string;
            /** Format: int64 */
            id: number;
            labels?: components["schemas"]["Label"][] | null;
            manifest_media_type: string;
            media_type: string;
            /** Format: int64 */
            project_id: number;
            pull_time: string;
            push_time: string;
            references?: components["schemas"]["ArtifactReference"][] | null;
            /** Format: int64 */
            repository_id: number;
            repository_name: string;
            /** Format: int64 */
            size: number;
            tags?: components["schemas"]["Tag"][] | null;
            type: string;
        };
        /** @description Something that an index lists. */
        ArtifactReference: {
            annotations?: {
                [key: string]: string;
            } | null;
            child_digest: string;
            /** Format: int64 */
            child_id?: number | null;
            /** Format: int64 */
            parent_id: number;
            platform?: components["schemas"]["Platform"] | null;
            urls?: string[] | null;
        };
        /** @description A collector of the audit log. */
        AuditCollector: {
            /** @description Where it is. */
            address: string;
            /** @description `syslog` or `http`. */
            collector: string;
            /** @description Why the last attempt failed; empty if it did not. */
            error: string;
            /** @description When they began. */
            failing_since?: string | null;
            /**
             * Format: int64
             * @description Failures in a row.
             */
            failures: number;
            /**
             * Format: int64
             * @description Seconds since the oldest of them was written; 0 if none waits.
             */
            lag_seconds: number;
            /** @description Whether entries can be lost on the way without notice, as by UDP. */
            lossy: boolean;
            /** @description `tcp`, `tls`, `udp`, `http` or `https`. */
            protocol: string;
            /** @description When the next attempt is due. */
            retry_time?: string | null;
            /** @description When something was last forwarded. */
            sent_time?: string | null;
            /**
             * Format: int64
             * @description Entries that wait to be forwarded; 10000 for more.
             */
            waiting: number;
        };
        /** @description What came of a test line. */
        AuditForwardTest: {
            /** @description Where it is. */
            address: string;
            /** @description `syslog` or `http`. */
            collector: string;
            /** @description What is wrong. */
            detail: string;
            /** Format: int64 */
            elapsed_ms: number;
            /** @description Whether the collector took the line; by UDP, whether it was sent. */
            ok: boolean;
            /** @description `tcp`, `tls`, `udp`, `http` or `https`. */
            protocol: string;
        };
        /** @description An entry in the form that Harbor had before 2.13. */
        AuditLog: {
            /** Format: int64 */
            id: number;
            op_time: string;
            operation: string;
            resource: string;
            resource_type: string;
            username: string;
        };
        /** @description A type of events. */
        AuditLogEventType: {
            event_type: string;
        };
        /** @description An entry in the form that Harbor has had since 2.13. */
        AuditLogExt: {
            /** Format: int64 */
            id: number;
            op_time: string;
            operation: string;
            operation_description: string;
            operation_result: boolean;
            resource: string;
            resource_type: string;
            username: string;
        };
        /** @description A span of time. */
        AuditPoint: {
            /** Format: int64 */
            done: number;
            /** Format: int64 */
            refused: number;
            time: string;
        };
        /** @description The answer. */
        AuditSeries: {
            points: components["schemas"]["AuditPoint"][];
            /**
             * @description Whether the first point is incomplete and earlier ones are missing, because the number of counted entries is
             *     limited.
             */
            truncated: boolean;
        };
        /** @description The form of a back-channel logout. */
        BackChannel: {
            /** @default  */
            logout_token: string;
        };
        /** @description The body of `POST /bulk`. */
        BulkRequest: {
            /** @description `delete_artifacts`, `delete_tags`, `delete_repositories`, `add_label` or `remove_label`. */
            action?: string | null;
            /** @description Whether to delete artifacts even if they have other tags besides the one that names them. */
            force?: boolean | null;
            /**
             * @description The items: `team/app@sha256:…` or `team/app:v1` for artifacts, `team/app:v1` for tags, `team/app` for
             *     repositories. At most 100.
             */
            items?: string[] | null;
            /**
             * Format: int64
             * @description The label to add or remove.
             */
            label_id?: number | null;
        };
        /** @description The result for one item. */
        BulkResult: {
            /** @description The code of the error, if it failed. */
            code?: string | null;
            item: string;
            message?: string | null;
            /**
             * Format: int32
             * @description The status that its own request would have got; 504 if there was no time for it.
             */
            status: number;
            /** @description Tags that were deleted with an artifact. */
            tags?: string[];
        };
        /** @description The results for all items. */
        BulkResults: {
            /** @description How many succeeded. */
            done: number;
            /** @description In the order of the request. */
            results: components["schemas"]["BulkResult"][];
        };
        /** @description The list in the API. */
        CVEAllowlist: {
            creation_time: string;
            /** Format: int64 */
            expires_at?: number | null;
            /** Format: int64 */
            id?: number | null;
            items: components["schemas"]["CVEAllowlistItem"][];
            update_time: string;
        };
        /** @description A vulnerability. */
        CVEAllowlistItem: {
            /** @default  */
            cve_id: string;
        };
        /** @description The answer. */
        Capabilities: {
            /** @description Features by their names, with their versions. */
            features: {
                [key: string]: number;
            };
        };
        /** @description A certificate in the API. */
        Certificate: {
            /**
             * Format: int64
             * @description Whole days until it ends; less than 0 once it has.
             */
            days_left: number;
            /** @description False if other certificates are presented for all of its names. */
            in_use: boolean;
            issuer: string;
            /** @description Its file, or its name in the database. */
            label: string;
            names: string[];
            not_after: string;
            not_before: string;
            serial: string;
            /**
             * @description `ca` if Gantry's own CA issues it, `files` if the operator provides it, `import` if it was imported, `acme` if it
             *     was obtained by ACME.
             */
            source: string;
            /** @description What is wrong with it, or will be soon. */
            warnings: string[];
        };
        /** @description The result of loading the files. */
        CertificateReload: {
            certificates: components["schemas"]["Certificate"][];
            /** @description False if the files have the certificates that are already presented. */
            replaced: boolean;
        };
        Component: {
            error?: string | null;
            name: string;
            status: string;
        };
        Configurations: {
            /** @description Whether new entries of the audit log have the address and the user agent of the program. */
            audit_log_clients?: boolean;
            /** @description The header field `Authorization` of requests to `audit_log_forward_url`: `Bearer TOKEN`, `Splunk TOKEN`. */
            audit_log_forward_authorization?: string;
            /** @description The only authorities that may have signed the certificates of these two, in PEM. Empty: those of the system. */
            audit_log_forward_ca?: string;
            /** @description The certificate, in PEM, that is shown to a collector that asks for one. */
            audit_log_forward_client_certificate?: string;
            /** @description The key of `audit_log_forward_client_certificate`, in PEM and without a passphrase. */
            audit_log_forward_client_key?: string;
            /** @description `HOST:PORT` of a syslog server that gets a copy of the audit log. Empty: none. */
            audit_log_forward_endpoint?: string;
            /** @description How the syslog server is reached: `tcp`, `tls`, or `udp`, which loses entries without notice. */
            audit_log_forward_protocol?: string;
            /** @description `https://HOST[:PORT][/PATH]`, or `http://`, of a collector that gets a copy of the audit log by HTTP, as lines of JSON. Empty: none. */
            audit_log_forward_url?: string;
            /** @description The source of users that user interfaces prefer: `db_auth` (this database), `ldap_auth` (a directory) or `oidc_auth` (a provider). People can always sign in by every source that is configured. */
            auth_mode?: string;
            /** @description A message that user interfaces show on every page: a JSON object, as text, with `message`, `type`, `closable`, `fromDate` and `toDate`. Empty: none. */
            banner_message?: string;
            /** @description Types of events that the audit log does not show, separated by commas: `pull_artifact,login_user`. */
            disabled_audit_log_event_types?: string;
            /** @description `https://HOST[:PORT]` at which people reach Gantry: links in mails begin with it, and an OIDC provider redirects to it. `[server] external_url` in the configuration file fixes it. Empty: no mails are sent, and nobody signs in by OIDC. */
            external_url?: string;
            /** @description Its groups of system administrators. */
            http_authproxy_admin_groups?: string;
            /** @description Its system administrators. */
            http_authproxy_admin_usernames?: string;
            /** @description The authenticating proxy. */
            http_authproxy_endpoint?: string;
            /** @description Its certificate. */
            http_authproxy_server_certificate?: string;
            /** @description Whether the search for users is skipped. */
            http_authproxy_skip_search?: boolean;
            /** @description Where its tokens are reviewed. */
            http_authproxy_tokenreview_endpoint?: string;
            /** @description Whether its certificate is checked. */
            http_authproxy_verify_cert?: boolean;
            /** @description Where to search for users. */
            ldap_base_dn?: string;
            /** @description The only authorities that may have signed the directory's certificate, in PEM. Empty: those of the system. */
            ldap_ca_certificate?: string;
            /** @description The certificate, in PEM, that is shown to a directory that asks for one. */
            ldap_client_certificate?: string;
            /** @description The key of `ldap_client_certificate`, in PEM and without a passphrase. */
            ldap_client_key?: string;
            /** @description Further addresses of the same directory, separated by spaces, for when `ldap_url` does not answer. */
            ldap_fallback_urls?: string;
            /** @description Which entries are users. */
            ldap_filter?: string;
            /** @description The group whose members are system administrators. */
            ldap_group_admin_dn?: string;
            /** @description Accepted for Harbor's clients, without effect: all groups are looked up at once. */
            ldap_group_attach_parallel?: boolean;
            /** @description The attribute that is the group's name. Required while `ldap_group_search_filter` is set. */
            ldap_group_attribute_name?: string;
            /** @description Where to search for groups. Empty: where users are searched. */
            ldap_group_base_dn?: string;
            /** @description How to find somebody's groups: `attribute`, by `ldap_group_membership_attribute`; `search`, by the groups' own lists of members; `nested`, by Active Directory's rule, including groups in groups. */
            ldap_group_lookup?: string;
            /** @description The attribute of a user that names the groups. */
            ldap_group_membership_attribute?: string;
            /** @description Which entries are groups. Empty: no groups are used. */
            ldap_group_search_filter?: string;
            /** @description How deep: 0 the entry alone, 1 one level, 2 the whole tree. */
            ldap_group_search_scope?: number;
            /** @description Seconds for which a password that the directory confirmed is accepted while the directory does not answer. */
            ldap_outage_secs?: number;
            /** @description Seconds until a password that the directory confirmed is checked again. */
            ldap_password_secs?: number;
            /** @description Seconds after which people and their groups are read from the directory again. */
            ldap_reading_secs?: number;
            /** @description How deep: 0 the entry alone, 1 one level, 2 the whole tree. */
            ldap_scope?: number;
            /** @description The entry that searches the directory. Empty: anonymous. */
            ldap_search_dn?: string;
            /** @description The password of `ldap_search_dn`. */
            ldap_search_password?: string;
            /** @description Whether connections to `ldap://` addresses are encrypted by StartTLS before anything else is sent. */
            ldap_starttls?: boolean;
            /** @description Seconds to wait for an answer of the directory. */
            ldap_timeout?: number;
            /** @description The attribute that is the user's name. */
            ldap_uid?: string;
            /** @description `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]` of the directory. People can sign in by it once this and `ldap_base_dn` are set, whatever `auth_mode` is. Empty: none. */
            ldap_url?: string;
            /** @description Whether the directory's certificate is checked. */
            ldap_verify_cert?: boolean;
            /** @description Whether webhooks are sent. */
            notification_enable?: boolean;
            /** @description The group whose members are system administrators. */
            oidc_admin_group?: string;
            /** @description Whether a user's first sign-in creates an account without asking for a name. */
            oidc_auto_onboard?: boolean;
            /** @description The only authorities that may have signed the provider's certificate, in PEM. Empty: those of the system. */
            oidc_ca_certificate?: string;
            /** @description The id that the provider gave Gantry. */
            oidc_client_id?: string;
            /** @description The secret that belongs to `oidc_client_id`. Empty for a public client. */
            oidc_client_secret?: string;
            /** @description `https://HOST[:PORT][/PATH]` of the OIDC provider: its issuer. People can sign in by it once this, `oidc_client_id` and `external_url` are set, whatever `auth_mode` is. `http://` is for a provider on this machine. Empty: none. */
            oidc_endpoint?: string;
            /** @description Parameters to add to the redirect to the provider: a JSON object, as text. */
            oidc_extra_redirect_parms?: string;
            /** @description A regular expression for the groups to use. Empty: all. */
            oidc_group_filter?: string;
            /** @description The claim that names the user's groups. Empty: no groups are used. */
            oidc_groups_claim?: string;
            /** @description Whether signing out of Gantry signs out of the provider too. */
            oidc_logout?: boolean;
            /** @description What user interfaces call the OIDC provider. */
            oidc_name?: string;
            /** @description Seconds for which a CLI secret works while the provider does not answer, or if it gave no refresh token. */
            oidc_outage_secs?: number;
            /** @description Seconds after which the provider is asked again about people with a session and their groups. */
            oidc_reading_secs?: number;
            /** @description The scopes to request, separated by commas; `openid` is always included. With `offline_access`, Gantry can ask again whether people may still sign in, and which groups they are in. Empty: `openid,profile,email,offline_access`. */
            oidc_scope?: string;
            /** @description Seconds after which the provider is asked again whether the owner of a CLI secret may still sign in. */
            oidc_secret_secs?: number;
            /** @description Seconds to wait for an answer of the provider. */
            oidc_timeout?: number;
            /** @description The claim that is the user's name. Empty: `name`. */
            oidc_user_claim?: string;
            /** @description Whether the provider's certificate is checked. */
            oidc_verify_cert?: boolean;
            /** @description Whether user interfaces show the sign-in by another identity provider first. */
            primary_auth_mode?: boolean;
            /** @description Who may create projects: `everyone` who is signed in, or `adminonly`, the system administrators. */
            project_creation_restriction?: string;
            /** @description Who may delete projects: `everyone` with the permission in the project, or `adminonly`. */
            project_deletion_restriction?: string;
            /** @description Days for which a deleted project can be restored. */
            project_restore_days?: number;
            /** @description Whether new projects have `storage_per_project` as their limit. */
            quota_per_project_enable?: boolean;
            /** @description Whether writing is refused, except for settings, sign-in and garbage collection. */
            read_only?: boolean;
            /** @description The only authorities that may have signed the certificates of these endpoints, in PEM. Empty: those of the system. */
            registry_notification_ca?: string;
            /** @description Header fields of these requests: a JSON object, as text, by the endpoint's name: `{"ci": {"Authorization": ["Bearer TOKEN"]}}`. */
            registry_notification_headers?: string;
            /** @description Where events of the registry are sent, in distribution's form: a JSON list, as text, of endpoints with `name`, `url`, `disabled`, `timeout`, `threshold`, `backoff`, `ignore` and `ignoredmediatypes`. Empty: nowhere. */
            registry_notifications?: string;
            /** @description Prefix of the names of new robots; existing robots keep their names. */
            robot_name_prefix?: string;
            /** @description Days for which a robot is valid, unless specified when it is created. */
            robot_token_duration?: number;
            /** @description Whether pulls by scanners leave the time of the last pull unchanged. */
            scanner_skip_update_pulltime?: boolean;
            /** @description Whether people may register accounts for themselves. Where mail is set up, they can sign in once they have opened the link that is mailed to them. While a directory is configured, nobody can register, whatever this says. */
            self_registration?: boolean;
            /** @description Minutes after which a session ends even if it is in use. 0: never. */
            session_longest?: number;
            /** @description Minutes after which an idle session ends. */
            session_timeout?: number;
            /** @description Whether the audit log is forwarded only. Gantry refuses this. */
            skip_audit_log_database?: boolean;
            /** @description The only authorities that may have signed the mail server's certificate, in PEM. Empty: those of the system. */
            smtp_ca?: string;
            /** @description The sender of mails: `gantry@registry.example`, `Gantry <gantry@registry.example>`. Empty: no mails are sent. */
            smtp_from?: string;
            /** @description The mail server, by its name or address. Empty: no mails are sent. */
            smtp_host?: string;
            /** @description The password of `smtp_user`. */
            smtp_password?: string;
            /** @description The mail server's port. */
            smtp_port?: number;
            /** @description How the connection to the mail server is encrypted: `starttls`, `tls` from the first byte, or `none` for a server on this machine. */
            smtp_tls?: string;
            /** @description The user name for the mail server. Empty: no sign-in. */
            smtp_user?: string;
            /** @description How many bytes a new project may hold, unless specified when it is created; -1 for no limit. */
            storage_per_project?: number;
            /** @description Minutes for which a registry token is valid. */
            token_expiration?: number;
            /** @description The ID that it gave Gantry. */
            uaa_client_id?: string;
            /** @description The secret that belongs to it. */
            uaa_client_secret?: string;
            /** @description The UAA server. */
            uaa_endpoint?: string;
            /** @description Whether its certificate is checked. */
            uaa_verify_cert?: boolean;
        };
        ConfigurationsResponse: {
            /** @description Whether new entries of the audit log have the address and the user agent of the program. */
            audit_log_clients?: {
                editable: boolean;
                value: boolean;
            };
            /** @description The only authorities that may have signed the certificates of these two, in PEM. Empty: those of the system. */
            audit_log_forward_ca?: {
                editable: boolean;
                value: string;
            };
            /** @description The certificate, in PEM, that is shown to a collector that asks for one. */
            audit_log_forward_client_certificate?: {
                editable: boolean;
                value: string;
            };
            /** @description `HOST:PORT` of a syslog server that gets a copy of the audit log. Empty: none. */
            audit_log_forward_endpoint?: {
                editable: boolean;
                value: string;
            };
            /** @description How the syslog server is reached: `tcp`, `tls`, or `udp`, which loses entries without notice. */
            audit_log_forward_protocol?: {
                editable: boolean;
                value: string;
            };
            /** @description `https://HOST[:PORT][/PATH]`, or `http://`, of a collector that gets a copy of the audit log by HTTP, as lines of JSON. Empty: none. */
            audit_log_forward_url?: {
                editable: boolean;
                value: string;
            };
            /** @description The source of users that user interfaces prefer: `db_auth` (this database), `ldap_auth` (a directory) or `oidc_auth` (a provider). People can always sign in by every source that is configured. */
            auth_mode?: {
                editable: boolean;
                value: string;
            };
            /** @description A message that user interfaces show on every page: a JSON object, as text, with `message`, `type`, `closable`, `fromDate` and `toDate`. Empty: none. */
            banner_message?: {
                editable: boolean;
                value: string;
            };
            /** @description Types of events that the audit log does not show, separated by commas: `pull_artifact,login_user`. */
            disabled_audit_log_event_types?: {
                editable: boolean;
                value: string;
            };
            /** @description `https://HOST[:PORT]` at which people reach Gantry: links in mails begin with it, and an OIDC provider redirects to it. `[server] external_url` in the configuration file fixes it. Empty: no mails are sent, and nobody signs in by OIDC. */
            external_url?: {
                editable: boolean;
                value: string;
            };
            /** @description Its groups of system administrators. */
            http_authproxy_admin_groups?: {
                editable: boolean;
                value: string;
            };
            /** @description Its system administrators. */
            http_authproxy_admin_usernames?: {
                editable: boolean;
                value: string;
            };
            /** @description The authenticating proxy. */
            http_authproxy_endpoint?: {
                editable: boolean;
                value: string;
            };
            /** @description Its certificate. */
            http_authproxy_server_certificate?: {
                editable: boolean;
                value: string;
            };
            /** @description Whether the search for users is skipped. */
            http_authproxy_skip_search?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Where its tokens are reviewed. */
            http_authproxy_tokenreview_endpoint?: {
                editable: boolean;
                value: string;
            };
            /** @description Whether its certificate is checked. */
            http_authproxy_verify_cert?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Where to search for users. */
            ldap_base_dn?: {
                editable: boolean;
                value: string;
            };
            /** @description The only authorities that may have signed the directory's certificate, in PEM. Empty: those of the system. */
            ldap_ca_certificate?: {
                editable: boolean;
                value: string;
            };
            /** @description The certificate, in PEM, that is shown to a directory that asks for one. */
            ldap_client_certificate?: {
                editable: boolean;
                value: string;
            };
            /** @description Further addresses of the same directory, separated by spaces, for when `ldap_url` does not answer. */
            ldap_fallback_urls?: {
                editable: boolean;
                value: string;
            };
            /** @description Which entries are users. */
            ldap_filter?: {
                editable: boolean;
                value: string;
            };
            /** @description The group whose members are system administrators. */
            ldap_group_admin_dn?: {
                editable: boolean;
                value: string;
            };
            /** @description Accepted for Harbor's clients, without effect: all groups are looked up at once. */
            ldap_group_attach_parallel?: {
                editable: boolean;
                value: boolean;
            };
            /** @description The attribute that is the group's name. Required while `ldap_group_search_filter` is set. */
            ldap_group_attribute_name?: {
                editable: boolean;
                value: string;
            };
            /** @description Where to search for groups. Empty: where users are searched. */
            ldap_group_base_dn?: {
                editable: boolean;
                value: string;
            };
            /** @description How to find somebody's groups: `attribute`, by `ldap_group_membership_attribute`; `search`, by the groups' own lists of members; `nested`, by Active Directory's rule, including groups in groups. */
            ldap_group_lookup?: {
                editable: boolean;
                value: string;
            };
            /** @description The attribute of a user that names the groups. */
            ldap_group_membership_attribute?: {
                editable: boolean;
                value: string;
            };
            /** @description Which entries are groups. Empty: no groups are used. */
            ldap_group_search_filter?: {
                editable: boolean;
                value: string;
            };
            /** @description How deep: 0 the entry alone, 1 one level, 2 the whole tree. */
            ldap_group_search_scope?: {
                editable: boolean;
                value: number;
            };
            /** @description Seconds for which a password that the directory confirmed is accepted while the directory does not answer. */
            ldap_outage_secs?: {
                editable: boolean;
                value: number;
            };
            /** @description Seconds until a password that the directory confirmed is checked again. */
            ldap_password_secs?: {
                editable: boolean;
                value: number;
            };
            /** @description Seconds after which people and their groups are read from the directory again. */
            ldap_reading_secs?: {
                editable: boolean;
                value: number;
            };
            /** @description How deep: 0 the entry alone, 1 one level, 2 the whole tree. */
            ldap_scope?: {
                editable: boolean;
                value: number;
            };
            /** @description The entry that searches the directory. Empty: anonymous. */
            ldap_search_dn?: {
                editable: boolean;
                value: string;
            };
            /** @description Whether connections to `ldap://` addresses are encrypted by StartTLS before anything else is sent. */
            ldap_starttls?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Seconds to wait for an answer of the directory. */
            ldap_timeout?: {
                editable: boolean;
                value: number;
            };
            /** @description The attribute that is the user's name. */
            ldap_uid?: {
                editable: boolean;
                value: string;
            };
            /** @description `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]` of the directory. People can sign in by it once this and `ldap_base_dn` are set, whatever `auth_mode` is. Empty: none. */
            ldap_url?: {
                editable: boolean;
                value: string;
            };
            /** @description Whether the directory's certificate is checked. */
            ldap_verify_cert?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Whether webhooks are sent. */
            notification_enable?: {
                editable: boolean;
                value: boolean;
            };
            /** @description The group whose members are system administrators. */
            oidc_admin_group?: {
                editable: boolean;
                value: string;
            };
            /** @description Whether a user's first sign-in creates an account without asking for a name. */
            oidc_auto_onboard?: {
                editable: boolean;
                value: boolean;
            };
            /** @description The only authorities that may have signed the provider's certificate, in PEM. Empty: those of the system. */
            oidc_ca_certificate?: {
                editable: boolean;
                value: string;
            };
            /** @description The id that the provider gave Gantry. */
            oidc_client_id?: {
                editable: boolean;
                value: string;
            };
            /** @description `https://HOST[:PORT][/PATH]` of the OIDC provider: its issuer. People can sign in by it once this, `oidc_client_id` and `external_url` are set, whatever `auth_mode` is. `http://` is for a provider on this machine. Empty: none. */
            oidc_endpoint?: {
                editable: boolean;
                value: string;
            };
            /** @description Parameters to add to the redirect to the provider: a JSON object, as text. */
            oidc_extra_redirect_parms?: {
                editable: boolean;
                value: string;
            };
            /** @description A regular expression for the groups to use. Empty: all. */
            oidc_group_filter?: {
                editable: boolean;
                value: string;
            };
            /** @description The claim that names the user's groups. Empty: no groups are used. */
            oidc_groups_claim?: {
                editable: boolean;
                value: string;
            };
            /** @description Whether signing out of Gantry signs out of the provider too. */
            oidc_logout?: {
                editable: boolean;
                value: boolean;
            };
            /** @description What user interfaces call the OIDC provider. */
            oidc_name?: {
                editable: boolean;
                value: string;
            };
            /** @description Seconds for which a CLI secret works while the provider does not answer, or if it gave no refresh token. */
            oidc_outage_secs?: {
                editable: boolean;
                value: number;
            };
            /** @description Seconds after which the provider is asked again about people with a session and their groups. */
            oidc_reading_secs?: {
                editable: boolean;
                value: number;
            };
            /** @description The scopes to request, separated by commas; `openid` is always included. With `offline_access`, Gantry can ask again whether people may still sign in, and which groups they are in. Empty: `openid,profile,email,offline_access`. */
            oidc_scope?: {
                editable: boolean;
                value: string;
            };
            /** @description Seconds after which the provider is asked again whether the owner of a CLI secret may still sign in. */
            oidc_secret_secs?: {
                editable: boolean;
                value: number;
            };
            /** @description Seconds to wait for an answer of the provider. */
            oidc_timeout?: {
                editable: boolean;
                value: number;
            };
            /** @description The claim that is the user's name. Empty: `name`. */
            oidc_user_claim?: {
                editable: boolean;
                value: string;
            };
            /** @description Whether the provider's certificate is checked. */
            oidc_verify_cert?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Whether user interfaces show the sign-in by another identity provider first. */
            primary_auth_mode?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Who may create projects: `everyone` who is signed in, or `adminonly`, the system administrators. */
            project_creation_restriction?: {
                editable: boolean;
                value: string;
            };
            /** @description Who may delete projects: `everyone` with the permission in the project, or `adminonly`. */
            project_deletion_restriction?: {
                editable: boolean;
                value: string;
            };
            /** @description Days for which a deleted project can be restored. */
            project_restore_days?: {
                editable: boolean;
                value: number;
            };
            /** @description Whether new projects have `storage_per_project` as their limit. */
            quota_per_project_enable?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Whether writing is refused, except for settings, sign-in and garbage collection. */
            read_only?: {
                editable: boolean;
                value: boolean;
            };
            /** @description The only authorities that may have signed the certificates of these endpoints, in PEM. Empty: those of the system. */
            registry_notification_ca?: {
                editable: boolean;
                value: string;
            };
            /** @description Where events of the registry are sent, in distribution's form: a JSON list, as text, of endpoints with `name`, `url`, `disabled`, `timeout`, `threshold`, `backoff`, `ignore` and `ignoredmediatypes`. Empty: nowhere. */
            registry_notifications?: {
                editable: boolean;
                value: string;
            };
            /** @description Prefix of the names of new robots; existing robots keep their names. */
            robot_name_prefix?: {
                editable: boolean;
                value: string;
            };
            /** @description Days for which a robot is valid, unless specified when it is created. */
            robot_token_duration?: {
                editable: boolean;
                value: number;
            };
            /** @description Always empty. */
            scan_all_policy?: Record<string, never>;
            /** @description Whether pulls by scanners leave the time of the last pull unchanged. */
            scanner_skip_update_pulltime?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Whether people may register accounts for themselves. Where mail is set up, they can sign in once they have opened the link that is mailed to them. While a directory is configured, nobody can register, whatever this says. */
            self_registration?: {
                editable: boolean;
                value: boolean;
            };
            /** @description Minutes after which a session ends even if it is in use. 0: never. */
            session_longest?: {
                editable: boolean;
                value: number;
            };
            /** @description Minutes after which an idle session ends. */
            session_timeout?: {
                editable: boolean;
                value: number;
            };
            /** @description Whether the audit log is forwarded only. Gantry refuses this. */
            skip_audit_log_database?: {
                editable: boolean;
                value: boolean;
            };
            /** @description The only authorities that may have signed the mail server's certificate, in PEM. Empty: those of the system. */
            smtp_ca?: {
                editable: boolean;
                value: string;
            };
            /** @description The sender of mails: `gantry@registry.example`, `Gantry <gantry@registry.example>`. Empty: no mails are sent. */
            smtp_from?: {
                editable: boolean;
                value: string;
            };
            /** @description The mail server, by its name or address. Empty: no mails are sent. */
            smtp_host?: {
                editable: boolean;
                value: string;
            };
            /** @description The mail server's port. */
            smtp_port?: {
                editable: boolean;
                value: number;
            };
            /** @description How the connection to the mail server is encrypted: `starttls`, `tls` from the first byte, or `none` for a server on this machine. */
            smtp_tls?: {
                editable: boolean;
                value: string;
            };
            /** @description The user name for the mail server. Empty: no sign-in. */
            smtp_user?: {
                editable: boolean;
                value: string;
            };
            /** @description How many bytes a new project may hold, unless specified when it is created; -1 for no limit. */
            storage_per_project?: {
                editable: boolean;
                value: number;
            };
            /** @description Minutes for which a registry token is valid. */
            token_expiration?: {
                editable: boolean;
                value: number;
            };
            /** @description The ID that it gave Gantry. */
            uaa_client_id?: {
                editable: boolean;
                value: string;
            };
            /** @description The secret that belongs to it. */
            uaa_client_secret?: {
                editable: boolean;
                value: string;
            };
            /** @description The UAA server. */
            uaa_endpoint?: {
                editable: boolean;
                value: string;
            };
            /** @description Whether its certificate is checked. */
            uaa_verify_cert?: {
                editable: boolean;
                value: boolean;
            };
        };
        /** @description The body of `POST /users`. */
        CreateUser: {
            comment?: string | null;
            email?: string | null;
            password?: string | null;
            realname?: string | null;
            username?: string | null;
        };
        /** @description The response of `GET …/_deletable`: one of the two. */
        Deletable: {
            deletable?: boolean | null;
            message?: string | null;
        };
        /** @description A deleted project. */
        DeletedProject: {
            creation_time: string;
            deletion_time: string;
            /** @description The name that it had. */
            name: string;
            /** @description Whether another project has the name now: it cannot be restored before that one is deleted. */
            name_taken: boolean;
            owner_name: string;
            /** Format: int64 */
            project_id: number;
            /** @description Until when it can be restored. */
            restorable_until: string;
        };
        /** @description Fields shown only to signed-in callers. */
        Details: {
            current_time: string;
            external_url: string;
            harbor_version: string;
            has_ca_root: boolean;
            notification_enable: boolean;
            project_creation_restriction: string;
            read_only: boolean;
            registry_storage_provider_name: string;
            registry_url: string;
        };
        /** @description Where to sign out instead. */
        Elsewhere: {
            redirect_location: string;
        };
        /** @description A person who was erased. */
        Erased: {
            /** @description What is shown instead of the name. */
            pseudonym: string;
        };
        /** @description One error. */
        Error: {
            code: string;
            message: string;
        };
        /** @description The body of a refusal. */
        Errors: {
            errors: components["schemas"]["Error"][];
        };
        /** @description An execution, or the schedule of executions. */
        ExecHistory: {
            creation_time: string;
            /** Format: int64 */
            id: number;
            job_kind: string;
            job_name?: string | null;
            job_parameters: string;
            job_status: string;
            schedule: components["schemas"]["ScheduleObj"];
            update_time: string;
        };
        /** @description An execution as the API shows it. */
        Execution: {
            end_time?: string | null;
            /** @description `event_type`, and the body as `payload`. */
            extra_attrs: {
                [key: string]: Record<string, never>;
            };
            /** Format: int64 */
            id: number;
            metrics: components["schemas"]["Metrics"];
            start_time: string;
            status: string;
            status_message?: string;
            trigger: string;
            /** Format: int64 */
            vendor_id: number;
            vendor_type: string;
        };
        /** @description The body of `POST …/expected-members`. */
        ExpectMember: {
            /**
             * @description The claim by which the person is known; by default the one that is the name of accounts. A mail address counts
             *     only if the provider says that it is verified.
             */
            claim?: string | null;
            /** Format: int64 */
            role_id?: number | null;
            /** @description Its value: the expected name, or the mail address. */
            value?: string | null;
        };
        /** @description A role that waits. */
        ExpectedMember: {
            claim: string;
            creation_time: string;
            /** Format: int64 */
            id: number;
            issuer: string;
            /** Format: int64 */
            role_id: number;
            role_name: string;
            value: string;
        };
        /** @description The decision and its reasons. */
        Explanation: {
            action: string;
            allowed: boolean;
            project: string;
            /** @description What allows it, or would if it were sufficient, strongest first; empty if nothing does. */
            reasons: components["schemas"]["Reason"][];
            resource: string;
            subject: string;
        };
        /** @description Names, in display order. */
        Favourites: {
            /** @default [] */
            projects: string[];
            /**
             * @description Whole names, projects included.
             * @default []
             */
            repositories: string[];
        };
        /** @description A filter, and how it is given. */
        FilterStyle: {
            style: string;
            type: string;
            values?: string[] | null;
        };
        /** @description The body of `POST /password/forgot`. */
        Forgot: {
            /** @description The address of the account. */
            email?: string | null;
        };
        /** @description A user in the search for signed-in callers. */
        Found: {
            /** Format: int64 */
            user_id: number;
            username: string;
        };
        /** @description The response of `GET /systeminfo`. */
        GeneralInfo: (components["schemas"]["Details"] | null) & {
            auth_mode: string;
            banner_message: string;
            /** @description The display name of the OIDC provider for sign-in; empty if there is none. */
            oidc_provider_name: string;
            primary_auth_mode: boolean;
            self_registration: boolean;
        };
        /** @description The body of `POST` and `PUT /usergroups`. */
        GroupRequest: {
            group_name?: string | null;
            /**
             * Format: int64
             * @description 1 for LDAP, 2 for an authenticating proxy, 3 for OIDC.
             */
            group_type?: number | null;
            /** @description The entry in the directory, for LDAP. */
            ldap_group_dn?: string | null;
        };
        /** @description The answer of `GET /health`. */
        Health: {
            components: components["schemas"]["Component"][];
            status: string;
        };
        /** @description A role, and where it comes from. */
        HeldRole: {
            /** @description The group that gives it; absent for a role of the caller's own. */
            group?: string | null;
            role: string;
        };
        /** @description The answer. */
        Home: {
            /**
             * Format: int64
             * @description How many projects the caller has a role in.
             */
            project_count: number;
            /** @description The most recently changed of them. */
            projects: components["schemas"]["HomeProject"][];
            /** @description The repositories in the caller's projects with the latest pushes. */
            repositories: components["schemas"]["HomeRepository"][];
        };
        /** @description A project of the caller. */
        HomeProject: {
            /** Format: int64 */
            artifact_count: number;
            name: string;
            /** Format: int64 */
            project_id: number;
            public: boolean;
            /** Format: int64 */
            pull_count: number;
            /** Format: int64 */
            repo_count: number;
            roles: string[];
            update_time: string;
        };
        /** @description A repository in a project of the caller. */
        HomeRepository: {
            /** Format: int64 */
            artifact_count: number;
            name: string;
            /** Format: int64 */
            project_id: number;
            /** Format: int64 */
            pull_count: number;
            update_time: string;
        };
        /** @description An icon. */
        Icon: {
            /** @description Base64. */
            content: string;
            "content-type": string;
        };
        /** @description A rule in the API. */
        ImmutableRule: {
            /** @default  */
            action: string;
            /** @default false */
            disabled: boolean;
            /**
             * Format: int64
             * @default null
             */
            id: number | null;
            /** @default {} */
            scope_selectors: {
                [key: string]: components["schemas"]["ImmutableSelector"][];
            };
            /** @default null */
            tag_selectors: components["schemas"]["ImmutableSelector"][] | null;
            /** @default  */
            template: string;
        };
        /** @description A pattern, and whether it selects what it matches or everything else. */
        ImmutableSelector: {
            /** @default  */
            decoration: string;
            /** @default  */
            extras: string;
            /** @default  */
            kind: string;
            /** @default  */
            pattern: string;
        };
        /** @description A job. */
        Job: {
            /** Format: int64 */
            attempts: number;
            creation_time: string;
            due_time: string;
            end_time?: string | null;
            /** Format: int64 */
            id: number;
            kind: string;
            last_error?: string | null;
            progress?: string | null;
            result?: string | null;
            /** @description Whether it always exists: it is queued again after each run. */
            standing: boolean;
            start_time?: string | null;
            status: string;
        };
        /** @description A line of a log. */
        JobLogLine: {
            level: string;
            text: string;
            time: string;
        };
        /** @description A queue. */
        JobQueue: {
            /** Format: int64 */
            count: number;
            job_type: string;
            /**
             * Format: int64
             * @description Seconds that the oldest job has waited.
             */
            latency: number;
            paused: boolean;
        };
        /** @description A job with the newest lines of its log. */
        JobWithLog: components["schemas"]["Job"] & {
            log: components["schemas"]["JobLogLine"][];
        };
        /** @description A label as the API shows it. */
        Label: {
            color?: string;
            creation_time: string;
            description?: string;
            /** Format: int64 */
            id: number;
            name: string;
            /** Format: int64 */
            project_id?: number | null;
            scope: string;
            update_time: string;
        };
        /** @description The body of requests that make, change or attach a label. */
        LabelRequest: {
            color?: string | null;
            description?: string | null;
            /** Format: int64 */
            id?: number | null;
            name?: string | null;
            /** Format: int64 */
            project_id?: number | null;
            scope?: string | null;
        };
        /** @description What takes the most space. */
        LargestStored: {
            /** @description When it was counted. */
            as_of: string;
            blobs: components["schemas"]["StoredBlob"][];
            projects: components["schemas"]["StoredProject"][];
        };
        /** @description The body of `POST /ldap/ping`; absent fields have the stored values. */
        LdapConf: {
            ldap_base_dn?: string | null;
            /** Format: int64 */
            ldap_connection_timeout?: number | null;
            ldap_filter?: string | null;
            /** Format: int64 */
            ldap_scope?: number | null;
            ldap_search_dn?: string | null;
            /** @description If absent, the stored one is used, but only if `ldap_url` and `ldap_search_dn` are the stored ones too. */
            ldap_search_password?: string | null;
            ldap_uid?: string | null;
            ldap_url?: string | null;
            ldap_verify_cert?: boolean | null;
        };
        /** @description A person who was not imported. */
        LdapFailedImportUser: {
            error: string;
            uid: string;
        };
        /** @description A group of the directory, which need not exist here. */
        LdapGroup: {
            group_name: string;
            /**
             * Format: int64
             * @description 1, for LDAP.
             */
            group_type: number;
            ldap_group_dn: string;
        };
        /** @description The body of `POST /ldap/users/import`. */
        LdapImportUsers: {
            /** @description Names to sign in with. */
            ldap_uid_list?: string[] | null;
        };
        /** @description The result. */
        LdapPingResult: {
            /** @description Why it failed. */
            message?: string;
            success: boolean;
        };
        /** @description A person of the directory. */
        LdapUser: {
            email?: string | null;
            realname: string;
            username: string;
        };
        /** @description A step in sending a mail. */
        MailStep: {
            /** @description What was found, or what is wrong. */
            detail: string;
            /** Format: int64 */
            elapsed_ms: number;
            ok: boolean;
            /** @description `settings`, `resolve`, `connect`, `encrypt`, `sign_in` or `send`. */
            step: string;
        };
        /** @description The body of `POST /mail/test`. */
        MailTest: {
            /** @description The address to send a mail to; by default the caller's own. */
            to?: string | null;
        };
        /** @description The result. */
        MailTested: {
            /** @description Whether the mail was sent. */
            ok: boolean;
            /** @description The steps; the first failure is the last one. */
            steps: components["schemas"]["MailStep"][];
        };
        /** @description Settings in a request. Those of proxy caches are dropped, as in Harbor. */
        Metadata: {
            auto_sbom_generation?: string | null;
            auto_scan?: string | null;
            enable_content_trust?: string | null;
            enable_content_trust_cosign?: string | null;
            prevent_vul?: string | null;
            public?: string | null;
            retention_id?: string | null;
            reuse_sys_cve_allowlist?: string | null;
            severity?: string | null;
        };
        /** @description How many tasks an execution has. */
        Metrics: {
            /** Format: int64 */
            error_task_count?: number;
            /** Format: int64 */
            pending_task_count?: number;
            /** Format: int64 */
            running_task_count?: number;
            /** Format: int64 */
            scheduled_task_count?: number;
            /** Format: int64 */
            stopped_task_count?: number;
            /** Format: int64 */
            success_task_count?: number;
            /** Format: int64 */
            task_count: number;
        };
        /** @description The body of `POST …/tags`. */
        NewTag: {
            name?: string | null;
        };
        /** @description A version of a tag. */
        NewTagVersion: {
            /** @description What it names, a manifest of the repository. */
            digest?: string | null;
            /** @description ID of the installation where it happened. */
            origin?: string | null;
            /**
             * Format: int64
             * @description When that happened, in microseconds since 1970.
             */
            time?: number | null;
        };
        /** @description The next runs of a schedule. */
        NextRuns: {
            /** @description At most five, in UTC; none if the schedule never runs. */
            next: string[];
        };
        /** @description A notice. */
        Notice: {
            /** @description Names its object and the stage that this has reached. */
            id: string;
            /**
             * @description `robot_expiry`, `quota`, `certificate`, `acme`, `read_only`, `admin_password`, `audit_forward`,
             *     `registry_notification`, `webhook` or `job_failed`.
             */
            kind: string;
            /** Format: int64 */
            project_id?: number | null;
            /** @description `info`, `warning` or `error`. */
            severity: string;
            /** @description Its object: a name or an ID. */
            subject: string;
            text: string;
            /** @description When it happens or happened, if known. */
            time?: string | null;
        };
        /** @description An endpoint of registry notifications. */
        NotificationEndpoint: {
            /** @description Why the last attempt failed; empty if it did not. */
            error: string;
            /** @description When they began. */
            failing_since?: string | null;
            /**
             * Format: int64
             * @description Failures in a row.
             */
            failures: number;
            /**
             * Format: int64
             * @description Seconds since the oldest of them was written; 0 if none waits.
             */
            lag_seconds: number;
            name: string;
            /** @description When something was last sent. */
            sent_time?: string | null;
            url: string;
            /**
             * Format: int64
             * @description Entries of the audit log that wait to be looked at; 10000 for more.
             */
            waiting: number;
        };
        /** @description The body of `PUT /users/{user_id}/cli_secret`. */
        OIDCCliSecretReq: {
            secret?: string | null;
        };
        /** @description The stored data of a user of the OIDC provider. */
        OIDCUserInfo: {
            creation_time: string;
            /** Format: int64 */
            id: number;
            /** @description The CLI secret: the password for docker and helm. */
            secret?: string | null;
            /** @description The subject, and the issuer after it. */
            subiss: string;
            update_time: string;
            /** Format: int64 */
            user_id: number;
        };
        /** @description The body of `POST /system/oidc/ping`; absent fields have the stored values. */
        OidcEndpoint: {
            url?: string | null;
            verify_cert?: boolean | null;
        };
        /** @description The body of `POST /c/oidc/onboard`. */
        Onboarding: {
            username?: string | null;
        };
        /** @description What the caller may do in a project. */
        OwnAccess: {
            /** @description `RESOURCE:ACTION` for each that is allowed. */
            permissions: string[];
            /** Format: int64 */
            project_id: number;
            project_name: string;
            public: boolean;
            roles: components["schemas"]["HeldRole"][];
        };
        /** @description Values by name. */
        Pairs: {
            [key: string]: string;
        };
        /** @description The body of `PUT /users/{user_id}/password`. */
        Passwords: {
            new_password?: string | null;
            old_password?: string | null;
        };
        /** @description The forms of requests to a kind of targets. */
        PayloadFormat: {
            formats: string[];
            notify_type: string;
        };
        /** @description An action on a resource. */
        Permission: {
            action: string;
            resource: string;
        };
        /** @description Permissions that robots can have: on resources of the system, and of a project. */
        Permissions: {
            project: components["schemas"]["Permission"][];
            system?: components["schemas"]["Permission"][] | null;
        };
        /** @description What an artifact runs on. */
        Platform: {
            architecture: string;
            os: string;
            variant?: string | null;
        };
        /** @description An object that only pages interpret. */
        Preferences: Record<string, never>;
        /** @description A robot's secret that was replaced and still works. */
        PreviousSecret: {
            /** @description Until when it works. */
            expires_at: string;
            /** @description When it was used last. */
            last_used_at?: string | null;
            /**
             * Format: int64
             * @description How often it was used since it was replaced; a minute's uses may be missing.
             */
            uses: number;
        };
        /** @description The body of `PUT /users/{user_id}`. */
        Profile: {
            comment?: string | null;
            email?: string | null;
            realname?: string | null;
        };
        /** @description A project in the API. */
        Project: {
            creation_time: string;
            /** Format: int64 */
            current_user_role_id?: number | null;
            current_user_role_ids?: number[] | null;
            cve_allowlist: components["schemas"]["Allowlist"];
            metadata?: components["schemas"]["Metadata"] | null;
            name: string;
            /** Format: int64 */
            owner_id: number;
            owner_name?: string | null;
            /** Format: int64 */
            project_id: number;
            /** Format: int64 */
            repo_count: number;
            update_time: string;
        };
        /** @description A membership in the API. */
        ProjectMember: {
            /** Format: int64 */
            entity_id: number;
            entity_name: string;
            /** @description `u` for users, `g` for groups. */
            entity_type: string;
            /** Format: int64 */
            id: number;
            /** Format: int64 */
            project_id: number;
            /** Format: int64 */
            role_id: number;
            role_name: string;
        };
        /** @description The body of `PUT …/owner`. */
        ProjectOwner: {
            /** @description The name of a user. */
            username?: string | null;
        };
        ProjectQuota: {
            hard: components["schemas"]["ProjectStorage"];
            used: components["schemas"]["ProjectStorage"];
        };
        /** @description The body of `POST` and `PUT /projects`. */
        ProjectRequest: {
            cve_allowlist?: components["schemas"]["AllowlistRequest"] | null;
            metadata?: components["schemas"]["Metadata"] | null;
            project_name?: string | null;
            public?: boolean | null;
            /** Format: int64 */
            registry_id?: number | null;
            /** Format: int64 */
            storage_limit?: number | null;
        };
        /** @description Numbers about a project, as far as the caller may see them. */
        ProjectStats: {
            /** Format: int64 */
            artifact_count: number;
            /** Format: int64 */
            member_count?: number | null;
            /** Format: int64 */
            pull_count: number;
            pull_time?: string | null;
            push_time?: string | null;
            /** Format: int64 */
            repo_count: number;
            /**
             * Format: int64
             * @description Bytes that it may hold; -1 for no limit.
             */
            storage_limit?: number | null;
            /**
             * Format: int64
             * @description Bytes that open uploads have reserved, which count as held.
             */
            storage_reserved?: number | null;
            /** Format: int64 */
            storage_used?: number | null;
        };
        /** @description Bytes. */
        ProjectStorage: {
            /** Format: int64 */
            storage: number;
        };
        /** @description What a project holds. */
        ProjectUsage: {
            /** Format: int64 */
            artifact_count: number;
            name: string;
            /** Format: int64 */
            project_id: number;
            public: boolean;
            /** Format: int64 */
            pull_count: number;
            pull_time?: string | null;
            push_time?: string | null;
            /** Format: int64 */
            repo_count: number;
            /**
             * Format: int64
             * @description Bytes that it may hold; -1 for no limit.
             */
            storage_limit: number;
            /**
             * Format: int64
             * @description Bytes that it holds, each blob counted once.
             */
            storage_used: number;
        };
        /** @description A quota as the API shows it. */
        Quota: {
            creation_time: string;
            hard: components["schemas"]["Storage"];
            /** Format: int64 */
            id: number;
            ref: components["schemas"]["Reference"];
            update_time: string;
            used: components["schemas"]["Storage"];
        };
        /** @description The body of `PUT /quotas/{id}`. */
        QuotaRequest: {
            hard?: components["schemas"]["Storage"] | null;
        };
        /** @description A right of the subject. */
        Reason: {
            /** @description Whether it allows the action. */
            allows: boolean;
            /** @description `sysadmin`, `role`, `group`, `robot`, `public`, `ended` or `read_only`. */
            kind: string;
            text: string;
        };
        /** @description A delivery that was added. */
        Redelivered: {
            /** Format: int64 */
            id: number;
        };
        /** @description The project. */
        Reference: {
            /** Format: int64 */
            id: number;
            name: string;
            owner_name: string;
        };
        /** @description A registry as the API shows it. */
        Registry: {
            ca_certificate?: string | null;
            creation_time: string;
            credential?: components["schemas"]["RegistryCredential"] | null;
            description?: string;
            /** Format: int64 */
            id: number;
            insecure: boolean;
            name: string;
            /** @description Why it could not be used when it was last looked at, and what to do about it. */
            problem?: string | null;
            status: string;
            type: string;
            update_time: string;
            url: string;
        };
        /** @description A registry by its id. */
        RegistryById: {
            /** Format: int64 */
            id?: number | null;
        };
        /** @description Who signs in at a registry. */
        RegistryCredential: {
            /** @default null */
            access_key: string | null;
            /** @default null */
            access_secret: string | null;
            /** @default null */
            type: string | null;
        };
        /** @description What policies with a registry may have. */
        RegistryInfo: {
            /** @description Empty. */
            description?: string;
            supported_copy_by_chunk: boolean;
            supported_resource_filters: components["schemas"]["FilterStyle"][];
            supported_triggers: string[];
            type: string;
        };
        /** @description What is tried out: a stored registry, with other credentials if some are given, or one that is not stored. */
        RegistryPing: {
            /** @default null */
            access_key: string | null;
            /** @default null */
            access_secret: string | null;
            /** @default null */
            ca_certificate: string | null;
            /**
             * @description `basic`; it has no effect.
             * @default null
             */
            credential_type: string | null;
            /**
             * Format: int64
             * @default null
             */
            id: number | null;
            /** @default null */
            insecure: boolean | null;
            /** @default null */
            type: string | null;
            /** @default null */
            url: string | null;
        };
        /** @description The body of a request that adds a registry. */
        RegistryRequest: {
            ca_certificate?: string | null;
            credential?: components["schemas"]["RegistryCredential"] | null;
            description?: string | null;
            insecure?: boolean | null;
            name?: string | null;
            type?: string | null;
            url?: string | null;
        };
        /** @description What is changed of a registry; what is left out stays. */
        RegistryUpdate: {
            /** @default null */
            access_key: string | null;
            /** @default null */
            access_secret: string | null;
            /** @default null */
            ca_certificate: string | null;
            /**
             * @description `basic`; it has no effect.
             * @default null
             */
            credential_type: string | null;
            /** @default null */
            description: string | null;
            /** @default null */
            insecure: boolean | null;
            /** @default null */
            name: string | null;
            /** @default null */
            url: string | null;
        };
        /** @description An execution as the API shows it. */
        ReplicationExecution: {
            /** @description Whether nothing was copied, and only said what would be. */
            dry_run?: boolean;
            end_time: string;
            /** Format: int64 */
            failed: number;
            /** Format: int64 */
            id: number;
            /** Format: int64 */
            in_progress: number;
            /** Format: int64 */
            policy_id: number;
            start_time: string;
            status: string;
            status_text: string;
            /** Format: int64 */
            stopped: number;
            /** Format: int64 */
            succeed: number;
            /** Format: int64 */
            total: number;
            trigger: string;
        };
        /** @description What is copied. */
        ReplicationFilter: {
            /** @description `matches` or `excludes`, for names, tags and labels. */
            decoration?: string | null;
            /** @description `name`, `tag`, `label` or `resource`. */
            type: string;
            /** @description A pattern; for labels their names. */
            value: unknown;
        };
        /** @description A policy as the API shows it. */
        ReplicationPolicy: {
            copy_by_chunk: boolean;
            creation_time: string;
            deletion?: boolean;
            description?: string;
            dest_namespace?: string;
            /** Format: int64 */
            dest_namespace_replace_count: number;
            dest_registry: components["schemas"]["Registry"];
            enabled: boolean;
            filters: components["schemas"]["ReplicationFilter"][];
            /** Format: int64 */
            id: number;
            /**
             * Format: int64
             * @description How far it is behind, in seconds; absent while it is disabled.
             */
            lag_seconds?: number | null;
            name: string;
            override: boolean;
            replicate_deletion?: boolean;
            single_active_replication: boolean;
            /** Format: int64 */
            speed: number;
            src_registry: components["schemas"]["Registry"];
            trigger: components["schemas"]["ReplicationTrigger"];
            update_time: string;
        };
        /** @description What a policy says. */
        ReplicationPolicyRequest: {
            copy_by_chunk?: boolean | null;
            deletion?: boolean | null;
            description?: string | null;
            dest_namespace?: string | null;
            /** Format: int64 */
            dest_namespace_replace_count?: number | null;
            dest_registry?: components["schemas"]["RegistryById"] | null;
            enabled?: boolean | null;
            filters?: components["schemas"]["ReplicationFilter"][] | null;
            name?: string | null;
            override?: boolean | null;
            replicate_deletion?: boolean | null;
            single_active_replication?: boolean | null;
            /** Format: int64 */
            speed?: number | null;
            src_registry?: components["schemas"]["RegistryById"] | null;
            trigger?: components["schemas"]["ReplicationTrigger"] | null;
        };
        /** @description This installation, as it is told to others that copy to it or from it. */
        ReplicationSite: {
            /** @description Its ID. */
            origin: string;
            /** @description IDs of the installations from which policies here pull it. */
            pulls_from: string[];
            /**
             * @description IDs of the installations to which policies here, and what they lead to, push the repository on, with the number of
             *     copies on the way.
             */
            reaches: {
                [key: string]: number;
            };
            /**
             * Format: int64
             * @description Its time, in microseconds since 1970.
             */
            time: number;
        };
        /** @description A task as the API shows it: one repository. */
        ReplicationTask: {
            /**
             * Format: int64
             * @description Bytes of blobs that were moved.
             */
            bytes: number;
            /**
             * Format: int64
             * @description References that were copied.
             */
            copied: number;
            /**
             * Format: int64
             * @description References that were deleted at the destination.
             */
            deleted: number;
            dst_resource: string;
            end_time: string;
            /** Format: int64 */
            execution_id: number;
            /** Format: int64 */
            id: number;
            job_id: string;
            /**
             * Format: int64
             * @description References that point elsewhere at the destination, and were left, as the policy does not override.
             */
            kept: number;
            operation: string;
            /**
             * Format: int64
             * @description References that were there already.
             */
            present: number;
            resource_type: string;
            src_resource: string;
            start_time: string;
            status: string;
            /** @description Why it failed, and what to do about it. */
            status_text?: string;
        };
        /** @description What starts a policy. */
        ReplicationTrigger: {
            /** @default null */
            trigger_settings: components["schemas"]["ReplicationTriggerSettings"] | null;
            /** @default  */
            type: string;
        };
        /** @description When the clock starts it. */
        ReplicationTriggerSettings: {
            /**
             * @description Six fields: second, minute, hour, day of month, month, day of week, in UTC.
             * @default null
             */
            cron: string | null;
        };
        /** @description A repository in the API. */
        Repository: {
            /** Format: int64 */
            artifact_count: number;
            creation_time: string;
            description?: string;
            /** Format: int64 */
            id: number;
            name: string;
            /** Format: int64 */
            project_id: number;
            /** Format: int64 */
            pull_count: number;
            update_time: string;
        };
        /** @description The body of `PUT …/repositories/{repository_name}`. */
        RepositoryRequest: {
            /** @description Markdown; absent for none. */
            description?: string | null;
        };
        /** @description What a repository holds. */
        RepositoryUsage: {
            /** Format: int64 */
            artifact_count: number;
            /** Format: int64 */
            blob_count: number;
            /** @description Whether a count or the size covers only the first 10,000 rows. */
            capped: boolean;
            name: string;
            /** Format: int64 */
            pull_count: number;
            pull_time?: string | null;
            push_time: string;
            /**
             * Format: int64
             * @description Bytes of the blobs that it links, each counted once.
             */
            size: number;
            /** Format: int64 */
            tag_count: number;
            /** Format: int64 */
            untagged_count: number;
        };
        /** @description The body of `POST /password/reset`. */
        Reset: {
            new_password?: string | null;
            /** @description What follows `#` in the link. */
            token?: string | null;
        };
        /** @description The body of `POST …/restore`. */
        RestoreTag: {
            /** @description A digest of the tag's history. */
            digest?: string | null;
        };
        /** @description The project that was restored. */
        Restored: {
            name: string;
            /** Format: int64 */
            project_id: number;
        };
        /** @description An execution as the API shows it. */
        RetentionExecution: {
            dry_run?: boolean;
            end_time: string;
            /** Format: int64 */
            id: number;
            /** Format: int64 */
            policy_id: number;
            start_time: string;
            status: string;
            trigger: string;
        };
        /** @description A task as the API shows it. */
        RetentionExecutionTask: {
            end_time: string;
            /** Format: int64 */
            execution_id: number;
            /** Format: int64 */
            id: number;
            job_id?: string | null;
            repository: string;
            /** Format: int64 */
            retained: number;
            start_time: string;
            status: string;
            /** Format: int64 */
            status_code: number;
            /** Format: int64 */
            total: number;
        };
        /** @description What rules may say. */
        RetentionMetadata: {
            scope_selectors: components["schemas"]["RetentionSelectorMetadata"][];
            tag_selectors: components["schemas"]["RetentionSelectorMetadata"][];
            templates: components["schemas"]["RetentionRuleMetadata"][];
        };
        /** @description A policy in the API. */
        RetentionPolicy: {
            /** @default null */
            algorithm: string | null;
            /**
             * Format: int64
             * @description Seconds after its last push in which no artifact goes; a change that leaves it out keeps it. Default: 86400.
             * @default null
             */
            grace_secs: number | null;
            /**
             * Format: int64
             * @default null
             */
            id: number | null;
            /** @default null */
            rules: components["schemas"]["RetentionRule"][] | null;
            /** @default null */
            scope: components["schemas"]["RetentionPolicyScope"] | null;
            /** @default null */
            trigger: components["schemas"]["RetentionRuleTrigger"] | null;
        };
        /** @description What a policy is about. */
        RetentionPolicyScope: {
            /** @default null */
            level: string | null;
            /**
             * Format: int64
             * @default null
             */
            ref: number | null;
        };
        /** @description A rule: which artifacts are kept. */
        RetentionRule: {
            /** @default  */
            action: string;
            /** @default false */
            disabled: boolean;
            /**
             * Format: int64
             * @default null
             */
            id: number | null;
            /** @default null */
            params: {
                [key: string]: Record<string, never>;
            } | null;
            /**
             * Format: int64
             * @default null
             */
            priority: number | null;
            /** @default null */
            scope_selectors: {
                [key: string]: components["schemas"]["ImmutableSelector"][];
            } | null;
            /** @default null */
            tag_selectors: components["schemas"]["ImmutableSelector"][] | null;
            /** @default  */
            template: string;
        };
        /** @description A template. */
        RetentionRuleMetadata: {
            action: string;
            display_text: string;
            params: components["schemas"]["RetentionRuleParamMetadata"][];
            rule_template: string;
        };
        /** @description A template's number. */
        RetentionRuleParamMetadata: {
            required: boolean;
            type: string;
            unit: string;
        };
        /** @description When a policy runs. */
        RetentionRuleTrigger: {
            /** @default null */
            kind: string | null;
            references?: Record<string, never> | null;
            settings?: Record<string, never> | null;
        };
        /** @description A kind of selectors. */
        RetentionSelectorMetadata: {
            decorations: string[];
            display_text: string;
            kind: string;
        };
        /** @description A robot in the API. */
        Robot: {
            creation_time: string;
            /** Format: int64 */
            creator_ref: number;
            /** @description `local` for a user, `robot` for another robot. */
            creator_type: string;
            description?: string;
            disable: boolean;
            /**
             * Format: int64
             * @description Days for which it is valid; -1 for ever.
             */
            duration: number;
            editable: boolean;
            /**
             * Format: int64
             * @description Seconds since 1970; -1 for never.
             */
            expires_at: number;
            /** Format: int64 */
            id: number;
            /** @description From where it was last used. */
            last_used_address?: string | null;
            /** @description When it was last used, up to a minute late. */
            last_used_at?: string | null;
            level: string;
            name: string;
            permissions: components["schemas"]["RobotPermission"][];
            previous_secret?: components["schemas"]["PreviousSecret"] | null;
            update_time: string;
        };
        /** @description The body of `POST /robots`. */
        RobotCreate: {
            description?: string | null;
            disable?: boolean | null;
            /**
             * Format: int64
             * @description Days for which it is valid; -1 for ever. By default `robot_token_duration`.
             */
            duration?: number | null;
            /** @description `system` or `project`. */
            level?: string | null;
            name?: string | null;
            permissions?: components["schemas"]["RobotPermission"][] | null;
            /** @description A chosen secret, which follows the rules for passwords; by default a random one. */
            secret?: string | null;
        };
        /** @description A robot that was made. The secret is not shown again. */
        RobotCreated: {
            creation_time: string;
            /**
             * Format: int64
             * @description Seconds since 1970; -1 for never.
             */
            expires_at: number;
            /** Format: int64 */
            id: number;
            name: string;
            secret: string;
        };
        /** @description What a robot did in a day, from the audit log. */
        RobotDay: {
            /** Format: int64 */
            done: number;
            /** Format: int64 */
            refused: number;
            time: string;
        };
        /** @description What a robot may do in one place. */
        RobotPermission: {
            access?: components["schemas"]["Access"][] | null;
            /** @description `system` or `project`. */
            kind?: string | null;
            /** @description `/` for the system, a project's name, or `*` for all projects. */
            namespace?: string | null;
        };
        /** @description The body of `PATCH /robots/{robot_id}`, and of its answer. */
        RobotSec: {
            /**
             * Format: int64
             * @description Days, up to 30, for which the present secret works too. By default 0.
             */
            grace_days?: number | null;
            secret?: string | null;
        };
        /** @description The body of `PUT /robots/{robot_id}`: the robot as read, with the changes. */
        RobotUpdate: {
            description?: string | null;
            disable?: boolean | null;
            /** Format: int64 */
            duration?: number | null;
            /** @description Unchanged. */
            level?: string | null;
            /** @description Unchanged. */
            name?: string | null;
            /** @description All of them. */
            permissions?: components["schemas"]["RobotPermission"][] | null;
        };
        /** @description The use of a robot. */
        RobotUsage: {
            /** @description What it did by day, oldest first; days without anything are left out. */
            days: components["schemas"]["RobotDay"][];
            /** @description From where it was last used. */
            last_used_address?: string | null;
            /** @description When it was last used, up to a minute late. */
            last_used_at?: string | null;
            /**
             * @description Whether the first day is incomplete and earlier ones are missing, because the number of counted audit entries is
             *     limited.
             */
            truncated: boolean;
        };
        /** @description The body of `PUT …/members/{mid}`. */
        RoleRequest: {
            /** Format: int64 */
            role_id?: number | null;
        };
        /** @description The body of requests that start or schedule executions. */
        Schedule: {
            parameters?: Record<string, never> | null;
            schedule?: components["schemas"]["Times"] | null;
        };
        /** @description When it runs. */
        ScheduleObj: {
            cron?: string | null;
            next_scheduled_time: string;
            type: string;
        };
        /** @description A schedule. */
        ScheduleTask: {
            cron: string;
            /** Format: int64 */
            id: number;
            update_time: string;
            /** Format: int64 */
            vendor_id?: number | null;
            vendor_type: string;
        };
        /** @description Whether schedules are paused. */
        SchedulerStatus: {
            paused: boolean;
        };
        /** @description The response of `GET /search`. */
        Search: {
            project: components["schemas"]["Project"][];
            repository: components["schemas"]["SearchRepository"][];
        };
        /** @description A hit. */
        SearchHit: {
            description?: string;
            /** Format: int64 */
            id?: number | null;
            /** @description `project`, `repository`, `tag` or `user`. */
            kind: string;
            /** @description The whole name: `team`, `team/app`, `team/app:v1`, `ann`. */
            name: string;
            /** Format: int64 */
            project_id?: number | null;
            public?: boolean | null;
        };
        /** @description The answer. */
        SearchHits: {
            /** @description By kind, in the order of the names. */
            hits: components["schemas"]["SearchHit"][];
            /** @description Whether there may be more of some kind. */
            truncated: boolean;
        };
        /** @description A found repository. */
        SearchRepository: {
            /** Format: int64 */
            artifact_count?: number;
            /** Format: int64 */
            project_id: number;
            project_name: string;
            project_public: boolean;
            /** Format: int64 */
            pull_count?: number;
            repository_name: string;
        };
        /** @description A session in the API. */
        Session: {
            /** @description The address that it began from. */
            address: string;
            /** @description The browser's user agent at that time. */
            agent: string;
            created_at: string;
            /** @description Whether the request was made with it. */
            current: boolean;
            expires_at: string;
            /** Format: int64 */
            id: number;
            renewed_at: string;
        };
        /** @description The form of `POST /c/login`. */
        SignIn: {
            /** @default  */
            password: string;
            /** @default  */
            principal: string;
        };
        /** @description What is started. */
        StartReplicationExecution: {
            /**
             * Format: int64
             * @default null
             */
            policy_id: number | null;
        };
        /** @description The body of requests that start an execution. */
        StartRequest: {
            dry_run?: boolean | null;
        };
        /** @description The response of `GET /statistics`. */
        Statistic: {
            /** Format: int64 */
            private_project_count: number;
            /** Format: int64 */
            private_repo_count: number;
            /** Format: int64 */
            public_project_count: number;
            /** Format: int64 */
            public_repo_count: number;
            /** Format: int64 */
            total_project_count: number;
            /** Format: int64 */
            total_repo_count: number;
            /** Format: int64 */
            total_storage_consumption: number;
        };
        /** @description Bytes. */
        Storage: {
            /** Format: int64 */
            storage: number;
        };
        /** @description Storage totals of the installation. */
        StorageOverview: {
            /** @description When it was counted. */
            as_of: string;
            /** Format: int64 */
            blob_bytes: number;
            /** Format: int64 */
            blob_count: number;
            /**
             * Format: int64
             * @description Bytes of objects that wait to be deleted, as far as they are known.
             */
            garbage_bytes: number;
            /** Format: int64 */
            garbage_count: number;
            /**
             * Format: int64
             * @description Bytes that all projects hold, with a blob counted in each of them: what would be stored if projects shared
             *     nothing.
             */
            project_bytes: number;
        };
        /** @description A large blob. */
        StoredBlob: {
            digest: string;
            /**
             * Format: int64
             * @description Repositories that link it.
             */
            repository_count: number;
            /** Format: int64 */
            size: number;
        };
        /** @description A large project. */
        StoredProject: {
            name: string;
            /** Format: int64 */
            project_id: number;
            /**
             * Format: int64
             * @description Bytes that it may hold; -1 for no limit.
             */
            storage_limit: number;
            /** Format: int64 */
            storage_used: number;
        };
        /** @description The response of `GET …/summary`. */
        Summary: {
            /** Format: int64 */
            developer_count?: number;
            /** Format: int64 */
            guest_count?: number;
            /** Format: int64 */
            limited_guest_count?: number;
            /** Format: int64 */
            maintainer_count?: number;
            /** Format: int64 */
            project_admin_count?: number;
            quota?: components["schemas"]["ProjectQuota"] | null;
            /** Format: int64 */
            repo_count: number;
        };
        /** @description What policies may name. */
        SupportedWebhookEventTypes: {
            event_type: string[];
            notify_type: string[];
            payload_formats: components["schemas"]["PayloadFormat"][];
        };
        /** @description The body of `PUT /users/{user_id}/sysadmin`. */
        SysadminFlag: {
            sysadmin_flag?: boolean | null;
        };
        /** @description The body of `PUT /system/CVEAllowlist`. */
        SystemAllowlistRequest: {
            /** Format: int64 */
            expires_at?: number | null;
            items?: components["schemas"]["CVEAllowlistItem"][] | null;
        };
        /** @description A tag in the API. */
        Tag: {
            /** Format: int64 */
            artifact_id: number;
            /** Format: int64 */
            id: number;
            immutable: boolean;
            name: string;
            pull_time: string;
            push_time: string;
            /** Format: int64 */
            repository_id: number;
        };
        /** @description A digest at which a tag pointed from some time on. */
        TagHistory: {
            /** @description Whether the tag can be pointed there again. */
            available: boolean;
            digest: string;
            time: string;
            /** @description Who set it; absent if it was set on the machine itself, and for callers without a role in the project. */
            username?: string | null;
        };
        /** @description A tag with its artifact. */
        TagOverview: {
            /** Format: int64 */
            artifact_id: number;
            digest: string;
            immutable: boolean;
            /** @description Those of its artifact, by name. */
            labels: components["schemas"]["Label"][];
            manifest_media_type: string;
            media_type: string;
            name: string;
            /** @description `os/architecture[/variant]`; for an index, those of its entries. */
            platforms: string[];
            /**
             * Format: int64
             * @description How often it was pulled by this tag.
             */
            pull_count: number;
            /** @description When it was last pulled by this tag. */
            pull_time: string;
            push_time: string;
            /** @description Whether it has an SBOM. */
            sbom: boolean;
            /** @description Whether it has a signature, which is not verified. */
            signed: boolean;
            /** Format: int64 */
            size: number;
            type: string;
        };
        /** @description What a tag is, and since when. */
        TagVersion: {
            /** @description What it names; absent where it was deleted. */
            digest?: string | null;
            name: string;
            /** @description ID of the installation where it happened. */
            origin: string;
            /**
             * Format: int64
             * @description When that happened, in microseconds since 1970 by the clock of the origin.
             */
            time: number;
        };
        /** @description What came of a version. */
        TagVersionOutcome: {
            /** @description `taken`, `same` where the tag was that already, or `kept` where it is something later. */
            outcome: string;
            state?: components["schemas"]["TagVersion"] | null;
        };
        /** @description A task as the API shows it. */
        Task: {
            creation_time: string;
            end_time?: string | null;
            /** Format: int64 */
            execution_id: number;
            /** @description Where it was sent, the status of the last answer, and how long it took. */
            extra_attrs: {
                [key: string]: Record<string, never>;
            };
            /** Format: int64 */
            id: number;
            /** Format: int64 */
            run_count: number;
            start_time?: string | null;
            status: string;
            status_message?: string;
            update_time: string;
        };
        /** @description When they run. */
        Times: {
            cron?: string | null;
            type?: string | null;
        };
        /** @description A user in the API. */
        User: {
            admin_role_in_auth: boolean;
            comment?: string;
            creation_time: string;
            email?: string | null;
            /** @description True while the address is not verified, so that links for a new password are not mailed there. */
            email_unverified?: boolean;
            oidc_user_meta?: components["schemas"]["OIDCUserInfo"] | null;
            realname?: string;
            sysadmin_flag: boolean;
            /** @description True until the mail address of a registered account is verified. */
            unverified?: boolean;
            update_time: string;
            /** Format: int64 */
            user_id: number;
            username: string;
        };
        UserEntity: {
            /** Format: int64 */
            user_id?: number | null;
            username?: string | null;
        };
        /** @description The form of `POST /c/userExists`. */
        UserExists: {
            /**
             * @description `username` or `email`.
             * @default
             */
            target: string;
            /** @default  */
            value: string;
        };
        /** @description A group in the API. */
        UserGroup: {
            group_name: string;
            /**
             * Format: int64
             * @description 1 for LDAP, 2 for an authenticating proxy, 3 for OIDC.
             */
            group_type: number;
            /** Format: int64 */
            id: number;
            ldap_group_dn?: string;
        };
        /** @description A group in the search for signed-in callers. */
        UserGroupSearchItem: {
            group_name: string;
            /** Format: int64 */
            group_type: number;
            /** Format: int64 */
            id: number;
        };
        /** @description The body of `PUT …/identity`. */
        UserIdentity: {
            /** @description What the provider calls the person: the claim `sub`. */
            subject?: string | null;
        };
        /** @description The body of `POST /users/verify`. */
        Verify: {
            /** @description The password of the account, if it can sign in already. */
            password?: string | null;
            /** @description What follows `#` in the link. */
            token?: string | null;
        };
        /** @description The answer of `GET /api/version`. */
        Version: {
            version: string;
        };
        /** @description Bytes of a file system. */
        Volume: {
            /** Format: int64 */
            free: number;
            /** Format: int64 */
            total: number;
        };
        /** @description The response of `GET /systeminfo/volumes`. */
        Volumes: {
            storage: components["schemas"]["Volume"][];
        };
        /** @description A delivery with its request. */
        WebhookDeliveryDetail: components["schemas"]["WebhookDeliveryView"] & {
            /** @description The attempts. */
            log: components["schemas"]["WebhookDeliveryLine"][];
            /** @description The body of the request. */
            payload: string;
        };
        /** @description A line of a delivery's log. */
        WebhookDeliveryLine: {
            /** @description `info`, `warn` or `error`. */
            level: string;
            text: string;
            time: string;
        };
        /** @description A delivery. */
        WebhookDeliveryView: {
            /** @description Where it was sent, or is sent. */
            address: string;
            /**
             * Format: int64
             * @description How often it was sent.
             */
            attempts: number;
            /**
             * Format: int64
             * @description How long the last answer took, in milliseconds.
             */
            duration_ms?: number | null;
            end_time?: string | null;
            /** @description Why the last attempt failed, in words. */
            error?: string;
            event_type: string;
            /** Format: int64 */
            id: number;
            /** @description When it is sent next. */
            next_time?: string | null;
            /** @description Who did what it tells of, or sent it again. */
            operator: string;
            /** Format: int64 */
            policy_id: number;
            /**
             * Format: int32
             * @description The status of the last answer.
             */
            response_status?: number | null;
            start_time: string;
            /** @description `Running` while it waits or is sent, `Success`, `Error` or `Stopped`. */
            status: string;
            /** @description The repository that it is about; those of one repository are sent one after the other. */
            subject: string;
            /** @description `EVENT`, or `MANUAL` where somebody sent it again. */
            trigger: string;
        };
        /** @description An execution in the form of earlier versions. */
        WebhookJob: {
            creation_time: string;
            event_type: string;
            /** Format: int64 */
            id: number;
            job_detail: string;
            notify_type: string;
            /** Format: int64 */
            policy_id: number;
            status: string;
            update_time: string;
        };
        /** @description When a policy last had an event of a type. */
        WebhookLastTrigger: {
            creation_time: string;
            enabled?: boolean;
            event_type: string;
            last_trigger_time: string;
            policy_name: string;
        };
        /** @description A policy in the API. */
        WebhookPolicy: {
            /** @default null */
            creation_time: string | null;
            /** @default null */
            creator: string | null;
            /** @default null */
            description: string | null;
            /** @default null */
            enabled: boolean | null;
            /** @default null */
            event_types: string[] | null;
            /**
             * Format: int64
             * @default null
             */
            id: number | null;
            /** @default null */
            name: string | null;
            /**
             * Format: int64
             * @default null
             */
            project_id: number | null;
            /** @default null */
            targets: components["schemas"]["WebhookTargetObject"][] | null;
            /**
             * @description Whether pushes of artifacts without a tag are sent, such as the parts of an image for several platforms. By
             *     default they are, as in Harbor.
             * @default null
             */
            untagged: boolean | null;
            /** @default null */
            update_time: string | null;
        };
        /** @description Where a policy sends. */
        WebhookTargetObject: {
            /** @default null */
            address: string | null;
            /**
             * @description The header `Authorization`. An answer has `*****` for one that is set; in a request that keeps it.
             * @default null
             */
            auth_header: string | null;
            /** @default null */
            payload_format: string | null;
            /**
             * @description What requests are signed with, in the header `X-Signature`. An answer has `*****` for one that is set. In a
             *     request, that or nothing keeps it, and an empty text removes it.
             * @default null
             */
            secret: string | null;
            /** @default null */
            skip_cert_verify: boolean | null;
            /** @default null */
            type: string | null;
        };
        /** @description Whether a target works. */
        WebhookTargetState: {
            address: string;
            /** @description Since when it has not answered. */
            failing_since?: string | null;
            /** @description Why the last attempt failed. */
            last_error?: string | null;
            /**
             * Format: int64
             * @description The status of its last answer.
             */
            last_status?: number | null;
            /** @description When something was last sent. */
            last_time?: string | null;
            /** @description When it is tried again, if it does not answer. */
            next_time?: string | null;
            /** Format: int64 */
            policy_id: number;
            /** @description When it was given up: only one event at a time is tried then, until it answers. */
            skipped_since?: string | null;
            /**
             * Format: int64
             * @description How many deliveries wait for it.
             */
            waiting: number;
        };
        /** @description What is tried out. */
        WebhookTest: {
            /**
             * @description The type of event; the policy's first by default.
             * @default null
             */
            event_type: string | null;
        };
        /** @description What came of trying a target out. */
        WebhookTestResult: {
            address: string;
            /** Format: int64 */
            duration_ms?: number | null;
            /** @description Why it did not take the sample; left out if it did. */
            error?: string | null;
            /** Format: int32 */
            response_status?: number | null;
        };
        /** @description A place for a job in a process. */
        Worker: {
            check_in?: string | null;
            id: string;
            job_id?: string | null;
            job_name?: string | null;
            pool_id: string;
            start_at?: string | null;
        };
        /** @description A process. */
        WorkerPool: {
            /** @description Maximum jobs that it runs at a time. */
            concurrency: number;
            heartbeat_at: string;
            /** Format: int32 */
            pid?: number | null;
            start_at: string;
            worker_pool_id: string;
        };
        /** @description A rule. */
        WorkloadRule: {
            audience: string;
            ca?: string | null;
            claims: {
                [key: string]: string;
            };
            creation_time: string;
            /** Format: int64 */
            id: number;
            issuer: string;
            jwks?: unknown;
            /** Format: int64 */
            lifetime: number;
            name: string;
            role: string;
            subject: string;
            update_time: string;
        };
        /** @description A rule to be made or to replace another. */
        WorkloadRuleRequest: {
            /**
             * @description What `aud` must be or contain: usually the registry's address.
             * @default
             */
            audience: string;
            /**
             * @description Authorities for the issuer's certificate, in PEM; by default those of the system.
             * @default null
             */
            ca: string | null;
            /**
             * @description Further claims, or JSON pointers into them, and what they must be. In patterns `*` stands for anything but `/` and
             *     `:`, and `**` for anything.
             * @default {}
             */
            claims: {
                [key: string]: string;
            };
            /**
             * @description What `iss` must be, an https URL.
             * @default
             */
            issuer: string;
            /** @description The issuer's public keys as a JWK set; by default they are read from the issuer. */
            jwks?: unknown;
            /**
             * Format: int64
             * @description Maximum lifetime of registry tokens in seconds, 60 to 86400; 3600 by default. None outlives the token that it
             *     was issued for.
             * @default null
             */
            lifetime: number | null;
            /**
             * @description Unique within the project.
             * @default
             */
            name: string;
            /**
             * @description `maintainer`, `developer`, `guest` or `limitedGuest`.
             * @default
             */
            role: string;
            /**
             * @description What `sub` must be: a text, or a pattern that begins with the owner of the workload.
             * @default
             */
            subject: string;
        };
        /** @description The result of a rule for a token. */
        WorkloadRuleVerdict: {
            /** Format: int64 */
            id: number;
            matches: boolean;
            name: string;
            /** @description Why it does not admit the token. */
            problems: string[];
            role: string;
        };
        /** @description The result of testing a token. */
        WorkloadTokenExplanation: {
            /** @description Whether a rule admits it. */
            admitted: boolean;
            /** @description When it expires. */
            expires_at?: string | null;
            issuer: string;
            /** @description Why it is refused whatever the rules say. */
            problem?: string | null;
            /** @description The result for each rule. */
            rules: components["schemas"]["WorkloadRuleVerdict"][];
            subject: string;
        };
        /** @description A token to test. */
        WorkloadTokenRequest: {
            /**
             * @description The token. It is neither stored nor logged.
             * @default
             */
            token: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
